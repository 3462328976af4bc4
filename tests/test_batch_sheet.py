"""The tables of a batch: CSV for programs, a page for people."""

import csv
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

from kf_core.batch.job import picture_name
from kf_core.batch.manifest import DONE, FAILED, STARTED, Entry
from kf_core.batch.sheet import COLUMNS, page, write_page, write_table
from kf_core.batch.sources import WORK

NAME = 'sub/a "<b>&#1?.png'
ENTRIES = [
    Entry(NAME, "sub/a.png", state=DONE, seconds=1.5, confidence=0.25, kernel="simple", sentence="It <i>looks</i>."),
    Entry("bad\udcff.png", "bad.png", state=FAILED, seconds=0.1, sentence="'bad.png' is empty."),
    Entry("later.png", "later.png", state=STARTED),
]


class Seen(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_table_has_a_row_a_photo_in_the_columns_that_are_documented(tmp_path):
    path = write_table(tmp_path, ENTRIES)
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    made, failed, later = rows
    assert made["photo"] == NAME and made["result"] == "sub/a.png" and made["confidence"] == "0.25"
    assert failed["status"] == "failed" and failed["sentence"] == "'bad.png' is empty." and failed["result"] == ""
    assert later["status"] == "waiting" and later["seconds"] == later["result"] == ""


def test_names_and_sentences_on_the_page_are_text_and_no_markup(tmp_path):
    seen = Seen(page("<title>", ENTRIES, ["A <note>."], lambda path: True))
    assert {tag for tag, _ in seen.tags}.isdisjoint({"b", "i", "note", "script"})
    for text in (NAME, "It <i>looks</i>.", "A <note>.", "'bad.png' is empty.", "3 photos: 1 done, 1 failed, 1 waiting"):
        assert text in seen.text
    write_page(tmp_path, "x", ENTRIES)  # a name that is no text is no reason to fail


def test_links_lead_to_the_files_whatever_their_names():
    odd = Entry("a\udcff #?%.png", "a\udcff #?%.png", state=DONE)
    seen = Seen(page("x", [odd], [], lambda path: True))
    target = next(attributes["href"] for tag, attributes in seen.tags if tag == "a")
    assert unquote_to_bytes(target) == b"./a\xff #?%.png"
    assert not set("#?") & set(target)


def test_only_pictures_that_are_there_are_shown():
    there = f"{WORK}/{picture_name(NAME, 'kernel')}"
    seen = Seen(page("x", ENTRIES, [], lambda path: path == there))
    assert [attributes["src"] for tag, attributes in seen.tags if tag == "img"] == [f"./{there}"]
