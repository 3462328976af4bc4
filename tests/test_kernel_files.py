"""Kernels in files: what is written is read again, and what comes from anybody is refused with a sentence."""

import os

import numpy as np
import pytest
from PIL import Image

from kf_core.errors import BadKernel
from kf_core.files.kernels import read_kernel, write_kernel


def refused(path, words):
    with pytest.raises(BadKernel, match=words) as caught:
        read_kernel(path)
    assert path.name in caught.value.message and caught.value.message.endswith(".") and caught.value.hint.endswith(".")


def with_header(text):
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)


def test_numbers_come_back_as_they_were(tmp_path):
    kernel = np.random.default_rng(0).random((12, 12)).astype(np.float32)
    write_kernel(tmp_path / "k.npy", kernel)
    read = read_kernel(tmp_path / "k.npy", 12)
    assert read.dtype == np.float32 and np.array_equal(read, kernel) and type(read) is np.ndarray
    with pytest.raises(BadKernel, match="12 taps per side, not 13"):
        read_kernel(tmp_path / "k.npy", 13)
    write_kernel(tmp_path / "k.png", kernel)
    assert Image.open(tmp_path / "k.png").size == (480, 480)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00aaaa",
        b"\x93NUMPY\x01\x00\x05\x00{{{{{",
        b"PK\x03\x04",
        b"\x80\x04\x95",
        *(
            with_header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")
            for kind, shape in [
                ("'<f8'", f"({10**9}, {10**9})"),
                ("'<f8'", f"({10**30}, {10**30})"),
                ("'<f8'", f"({2**32}, {2**32})"),
                ("'|O'", "(2, 2)"),
                ("'zzz'", "(2, 2)"),
                ("'<f8'", "(-2, -2)"),
            ]
        ),
    ],
    ids=range(12),
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_damaged_and_dishonest_files_are_refused(tmp_path, content):
    (tmp_path / "k.npy").write_bytes(content)
    refused(tmp_path / "k.npy", "does not hold a kernel in numpy's format")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((4, 5)), "4 x 5 array"),
        (np.ones(16), "16 array"),
        (np.full((4, 4), "a"), "array of <U1"),
        (np.zeros((4, 4)), "no positive sum"),
        (np.full((4, 4), np.nan), "not numbers"),
    ],
)
def test_arrays_that_are_no_kernel_are_refused(tmp_path, array, words):
    np.save(tmp_path / "k.npy", array)
    refused(tmp_path / "k.npy", words)


def test_there_has_to_be_a_file(tmp_path):
    refused(tmp_path / "k.npy", "no file")
    refused(tmp_path, "not an ordinary file")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "pipe", "not an ordinary file")
