"""The page for programs: MCP with every argument, errors over HTTP, transparency, other kernels, a full line, bombs."""

import base64
import concurrent.futures
import io
import json
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from test_web_photos import bomb
from web_steps import connect, send, serve, wait_until

import kf_core
from web_demo import examples, runner


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return connect(server, tmp_path_factory.mktemp("client"))


def uploaded(server, path):
    with open(path, "rb") as file:
        answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": (Path(path).name, file)}, timeout=60)
    return answer.json()[0]


def data_url(path, kind="image/png"):
    """A file inside an MCP call; addresses on this computer are refused by Gradio's protection against misuse."""
    return f"data:{kind};base64," + base64.b64encode(Path(path).read_bytes()).decode()


def mcp(server, calls):
    """Calls (tool, arguments) over MCP; a tool is named by the end of its name. Returns the answers."""
    import anyio

    async def main():
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with (
            streamablehttp_client(f"{server.url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            names = [tool.name for tool in (await session.list_tools()).tools]
            answers = []
            for tool, arguments in calls:
                assert tool in names, names
                answers.append(await session.call_tool(tool, arguments))
            return names, answers

    with concurrent.futures.ThreadPoolExecutor() as pool:  # the browser's tests leave a loop in this thread
        return pool.submit(anyio.run, main).result(300)


def text_of(answer):
    return " ".join(getattr(part, "text", "") for part in answer.content)


def test_every_tool_takes_every_argument_over_mcp(server, photo, tmp_path):
    sharp = data_url(photo("c.png", size=(220, 200)))
    small, large = data_url(photo("a.png")), data_url(photo("b.png", size=(120, 90)))
    np.savetxt(tmp_path / "k.csv", np.ones((9, 9)), delimiter=",")
    rows = np.zeros((24, 24))
    rows[8:12, 8:12] = 1
    usual = {"scale": 2, "quality": "fast", "kernel_size": 12, "seed": 5, "prior": "", "paper": False, "strength": 50}
    usual |= {"seconds": 60, "varying": True}
    calls = [
        ("super_resolve", {"photo": large, **usual, "part": "best"}),
        ("super_resolve", {"photo": small, "scale": 3, "kernel_file": data_url(tmp_path / "k.csv", "text/csv")}),
        ("look", {"photo": small}),
        ("crop", {"photo": large}),
        ("fool_it", {"photo": "hats", "kernel": "my drawing", "drawing": json.dumps(rows.tolist()), "seed": 1}),
        ("fool_it", {"photo": "my own photo", "own_photo": sharp, "kernel": "ring"}),
        ("stop", {}),
        ("stop_1", {}),
        *((f"example_{name}", {}) for name in examples.names()),
    ]
    names, answers = mcp(server, calls)
    assert set(names) == {tool for tool, _ in calls}
    wrong = [(call[0], text_of(answer)[:300]) for call, answer in zip(calls, answers, strict=True) if answer.isError]
    assert not wrong
    import gradio.mcp

    assert Path(server.app.GRADIO_CACHE).resolve() == Path(gradio.mcp.DEFAULT_TEMP_DIR).resolve()
    assert "Good to go" in text_of(answers[2]) and "Nothing of yours" in text_of(answers[6])


def test_what_mcp_gets_wrong_is_told_in_a_sentence(server, photo):
    small = data_url(photo())
    calls = [
        ("super_resolve", {"photo": small, "scale": 2, "kernel_size": 7}),
        ("super_resolve", {"photo": small, "scale": 2, "part": "0,0,500,500"}),
    ]
    _, (size, part) = mcp(server, calls)
    assert size.isError and "does not fit a scale of 2" in text_of(size)
    assert part.isError and "reaches beyond the photo" in text_of(part)


WRONG = [
    ({"kernel_size": 7}, "kernel_size", "does not fit a scale of 2"),
    ({"kernel_size": 1.5}, "kernel_size", "not a whole number"),
    ({"scale": 9}, "scale", "not a value for scale"),
    ({"quality": "best"}, "quality", "no preset 'best'"),
    ({"seed": -1}, "seed", "not a value for seed"),
    ({"prior": "x"}, "prior", "does not name a prior"),
    ({"part": "x"}, "part", "is not a part"),
    ({"strength": 300}, "strength", "from 0 to 100"),
    ({"seconds": -5}, "seconds", "makes no sense"),
    ({"seconds": 60, "paper": True}, "seconds", "The time cannot be chosen"),
    ({"varying": True, "paper": True}, "varying", "one kernel for the whole photo"),
    ({"photo": None}, "photo", "no photo yet"),
]


@pytest.mark.parametrize(("change", "name", "sentence"), WRONG, ids=[str(change) for change, _, _ in WRONG])
def test_over_http_the_sentence_stands_beside_the_argument(server, photo, change, name, sentence):
    given = {"path": uploaded(server, photo()), "meta": {"_type": "gradio.FileData"}}
    values = {"photo": given, "scale": 2, "quality": "fast", "kernel_size": 0, "seed": 0, "prior": ""}
    values |= {"kernel_file": None, "paper": False, "part": "", "strength": 100, "seconds": 0, "varying": False}
    values |= change
    answer = httpx.post(f"{server.url}gradio_api/call/super_resolve", json={"data": list(values.values())}, timeout=60)
    assert answer.status_code == 422
    said = {each["parameter_name"]: each["message"] for each in answer.json()["detail"] if not each["is_valid"]}
    assert list(said) == [name] and sentence in said[name]


def test_a_part_of_a_large_photo_is_made_larger(client, photo):
    outputs = client.predict(
        photo=send(photo("l.png", size=(200, 150))), scale=2, part="100,50,40,60", api_name="/super_resolve"
    )
    assert kf_core.read_picture(outputs[0]).pixels.shape == (120, 80, 3)
    assert json.loads(Path(outputs[3]).read_text())["input_size"] == [40, 60]


def test_strength_zero_is_the_plain_enlargement(client, photo):
    outputs = client.predict(photo=send(photo()), scale=2, strength=0, api_name="/super_resolve")
    result, report = kf_core.read_picture(outputs[0]).pixels, json.loads(Path(outputs[3]).read_text())
    small = np.asarray(Image.open(photo()), dtype=float)
    assert report["strength"] == 0 and np.abs(result[::2, ::2] - small).mean() < np.abs(small - small.mean()).mean() / 2


def test_all_files_come_in_one(client, photo):
    import zipfile

    outputs = client.predict(photo=send(photo()), scale=2, api_name="/super_resolve")
    with zipfile.ZipFile(outputs[8]) as archive:
        assert archive.namelist() == [Path(path).name for path in outputs[:4]]
        assert archive.read(archive.namelist()[0]) == Path(outputs[0]).read_bytes()


@pytest.mark.parametrize("bits", [8, 16])
def test_transparency_goes_through_as_kf_upscale_has_it(client, photo, tmp_path, bits):
    pixels = kf_core.read_picture(photo("p.png", bits=bits)).pixels
    alpha = np.zeros(pixels.shape[:2], pixels.dtype)
    alpha[:, :30] = np.iinfo(pixels.dtype).max
    pixels[alpha == 0] = 0  # black under what one does not see
    kf_core.write_picture(tmp_path / "cut_out.png", kf_core.Picture(pixels, alpha=alpha))
    outputs = client.predict(photo=send(tmp_path / "cut_out.png"), scale=2, api_name="/super_resolve")
    large = kf_core.read_picture(outputs[0], transparency=True)
    assert large.alpha.dtype == pixels.dtype and large.alpha[:, :56].min() > 0.97 * np.iinfo(pixels.dtype).max
    assert large.alpha[:, 66:].max() == 0
    edge = large.pixels[:, 54:58].astype(float).mean() / pixels[:, 26:30].astype(float).mean()
    assert 0.7 < edge < 1.3  # the hidden black has not bled into it


def test_a_kernel_from_elsewhere_is_made_to_fit_and_the_page_says_so(client, photo, tmp_path):
    np.savetxt(tmp_path / "kernel.txt", np.ones((5, 5)))
    kernel = send(tmp_path / "kernel.txt")
    outputs = client.predict(photo=send(photo()), scale=2, kernel_file=kernel, api_name="/super_resolve")
    assert np.load(outputs[1]).shape == (6, 6)
    assert "Note: The kernel has 5 taps per side" in outputs[4]  # the notes of the report
    assert "taps per side" in " ".join(json.loads(Path(outputs[3]).read_text())["warnings"])
    assert any(f"The photo {words} your kernel." in outputs[4] for words in ("speaks for", "allows", "speaks against"))


def test_good_to_go_is_said_only_of_what_runs(client, tmp_path):
    Image.new("CMYK", (48, 48), (10, 20, 30, 0)).save(tmp_path / "print.jpg")
    clear = np.zeros((48, 48, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "nothing.png")
    frames = [Image.new("RGB", (48, 48), (shade, 0, 0)) for shade in (0, 99)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    for name in ("print.jpg", "nothing.png", "two.tif"):
        said = client.predict(photo=send(tmp_path / name), api_name="/look")[1]
        assert "Good to go" not in said and "error" in said
        with pytest.raises(Exception, match=r"\w"):
            client.predict(photo=send(tmp_path / name), scale=2, api_name="/super_resolve")


# --- the line ---


@pytest.fixture(scope="module")
def full_server():
    """Two may be in its line, and nobody's run ends by itself."""
    running = serve("finish.steps=100000", waiting=2, decoded_pixels=70_000_000, pixels=64 * 64, file_bytes=2**25)
    yield running
    running.app.close()


def test_with_a_full_line_all_else_goes_on(full_server, photo, tmp_path):
    clients = [connect(full_server, tmp_path / str(number)) for number in range(3)]
    first = clients[0].submit(photo=send(photo("1.png")), scale=2, api_name="/super_resolve")
    wait_until(lambda: first.outputs() and runner.busy())
    second = clients[1].submit(photo=send(photo("2.png")), scale=2, api_name="/super_resolve")
    wait_until(lambda: second.outputs() and "number 2 in the line" in second.outputs()[-1][-1])
    assert "One job is before yours: " in second.outputs()[-1][-1]  # and how long that takes
    with pytest.raises(Exception, match="2 people are waiting already"):
        clients[2].predict(photo=send(photo("3.png")), scale=2, api_name="/super_resolve")
    began = time.monotonic()
    assert "Good to go" in clients[2].predict(photo=send(photo("3.png")), api_name="/look")[1]
    assert clients[2].predict(photo=send(photo("4.png", size=(200, 150))), api_name="/crop")[0]
    if examples.names():
        assert clients[2].predict(api_name=f"/example_{examples.names()[0]}")[1]
    assert time.monotonic() - began < 30
    for each in clients[:2]:
        each.predict(api_name="/stop")
    wait_until(lambda: not runner.busy())
    assert len(full_server.app.web_service.line) == 0


@pytest.mark.slow
def test_four_bombs_at_once_leave_the_page_s_own_memory_as_it_was(full_server, tmp_path):
    import psutil

    path = bomb(tmp_path / "bomb.png", 7000)
    process = psutil.Process()
    before, highest, done = process.memory_info().rss, [0], []

    def throw():
        client = connect(full_server, tmp_path / threading.current_thread().name)
        done.append(client.predict(photo=send(path), api_name="/crop")[1])

    threads = [threading.Thread(target=throw) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        highest[0] = max(highest[0], process.memory_info().rss)
        time.sleep(0.05)
    assert len(done) == 4 and all("64 x 64" in said for said in done)
    assert highest[0] - before < 150 * 2**20  # unpacked, each has 140 MiB, and took 700 here


def test_the_picture_of_the_live_view_needs_no_file(client, photo):
    job = client.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    job.result(timeout=120)
    views = [outputs[-1] for outputs in job.outputs() if "data:image/png;base64," in outputs[-1]]
    if views:
        data = views[0].split("data:image/png;base64,")[1].split("'")[0].split('"')[0]
        assert Image.open(io.BytesIO(base64.b64decode(data))).format == "PNG"
