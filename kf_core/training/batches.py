"""Where the examples of a training are made: in the threads that ask for them, or ahead of time in processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kf_core.training.kernel_data import MakeBatch, Photographs, make_batch

AHEAD = 2  # batches that wait, per process
ShapeOf = Callable[[int], tuple[int, int]]  # number of the batch -> samples, LR pixels a side


class MadeInPlace:
    """Whoever asks for a batch makes it; the same photographs serve all threads."""

    def __init__(self, photographs: Photographs, seed: int):
        self.photographs, self.seed = photographs, seed

    def __enter__(self) -> MadeInPlace:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def batches(self, numbers: range, shape_of: ShapeOf) -> list[MakeBatch]:
        return [partial(make_batch, self.photographs, self.seed, n, *shape_of(n)) for n in numbers]


class MadeAhead:
    """The same batches from processes, for a GPU that learns faster than one core draws. Each reads the photographs."""

    def __init__(self, paths: list[Path], seed: int, processes: int):
        self.seed, self.ahead = seed, AHEAD * processes
        spawn = multiprocessing.get_context("spawn")  # a fork of a process that uses a GPU cannot
        self.pool = ProcessPoolExecutor(processes, spawn, initializer=_read, initargs=(paths,))
        self.begun: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}

    def __enter__(self) -> MadeAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def batches(self, numbers: range, shape_of: ShapeOf) -> list[MakeBatch]:
        """Those of `numbers`, made by now or soon; those after them are begun."""
        for number in range(numbers.start, numbers.stop + self.ahead):
            if number not in self.begun:
                self.begun[number] = self.pool.submit(_make, self.seed, number, shape_of(number))
        return [partial(_received, self.begun.pop(number)) for number in numbers]


_photographs = Photographs()  # of a process that makes batches


def _read(paths: list[Path]) -> None:
    global _photographs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the training itself says when to stop
    torch.set_num_threads(1)
    _photographs = Photographs.read(paths)


def _make(seed: int, number: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    photos, kernels = make_batch(_photographs, seed, number, *shape)
    return photos.numpy(), kernels.numpy()  # tensors would travel as files that stay open


def _received(made: Future[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    photos, kernels = made.result()
    return torch.from_numpy(photos), torch.from_numpy(kernels)
