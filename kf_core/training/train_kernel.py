"""The loop that trains the kernel estimator on a folder of photographs: resumable, and good at any moment.

On Linux MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 in the environment make it a good deal
faster: memory that is given back to the system after every step has to be fetched, page by page, in the next.
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from kf_core.device import choose_device
from kf_core.errors import BadInput, Cancelled, Diverged
from kf_core.files.atomic import check_writable_folder
from kf_core.kernels.corrnet import CorrNet
from kf_core.training.batches import MadeAhead, MadeInPlace
from kf_core.training.kernel_data import MakeBatch, Photographs, batch_shape, make_batch, sides_for
from kf_core.training.kernel_families import ARCS_AND_SPIRALS, FAMILIES
from kf_core.training.kernel_loss import losses, scores, total
from kf_core.training.kernel_state import load_state, load_weights, save_state, save_weights
from kf_core.training.photographs import credits_of, split

VALIDATION_SEED = 1 << 32  # far from any training's
VALIDATION = {"trained": (FAMILIES, 192), "kept_out": (ARCS_AND_SPIRALS, 96)}


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        workers: threads, each with a batch of its own per step; each step averages their gradients.
        samples: until when the learning rate falls, and the training ends.
        batch: samples of 64 x 64 LR pixels a worker; of other sizes as many as cost the same.
        warmup: samples until the learning rate is reached.
        average: decay of the averaged weights, step by step.
    """

    workers: int = 2
    samples: int = 3_000_000
    batch: int = 16
    learning_rate: float = 4e-4
    final_learning_rate: float = 4e-6
    warmup: int = 10_000
    weight_decay: float = 1e-3
    clip: float = 1.0
    average: float = 0.9995

    def learning_rate_at(self, seen: int) -> float:
        rise = min(1.0, (seen + 1) / self.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, seen / self.samples)))
        return rise * (self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * fall)


@dataclass
class Training:
    """Everything the next step depends on.

    Attributes:
        average: the network with averaged weights, which is the result.
        step, seen: batches and samples so far.
        recent: sums of the losses since the last check, and their number.
        curve: what each check found.
    """

    network: CorrNet
    average: CorrNet
    optimizer: torch.optim.Optimizer
    step: int = 0
    seen: int = 0
    recent: dict[str, float] = field(default_factory=dict)
    curve: list[dict] = field(default_factory=list)

    @classmethod
    def begin(
        cls, recipe: Recipe, seed: int, config: dict | None = None, device: torch.device | None = None
    ) -> Training:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = CorrNet(**(config or {})).to(device or torch.device("cpu"))
        optimizer = torch.optim.AdamW(
            network.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
        )
        return cls(network, copy.deepcopy(network).eval().requires_grad_(False), optimizer)

    def learn(self, batches: list[MakeBatch], recipe: Recipe, pool: Executor) -> None:
        """One step on some batches, each made and gone through in a thread of its own. Raises Diverged."""
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(self.seen)
        weights = list(self.network.parameters())
        device = weights[0].device

        def work(batch: MakeBatch) -> tuple[int, dict[str, float], tuple[Tensor, ...]]:
            photos, kernels = (made.to(device) for made in batch())
            parts = losses(self.network(photos), kernels)
            loss = total(parts)
            means = {name: float(value.detach().mean()) for name, value in {"loss": loss, **parts}.items()}
            return len(photos), means, torch.autograd.grad(loss, weights)

        results = list(pool.map(work, batches))
        for _, means, _ in results:
            if not math.isfinite(means["loss"]):
                raise Diverged()
            for name, value in means.items():
                self.recent[name] = self.recent.get(name, 0.0) + value / len(results)
        self.recent["steps"] = self.recent.get("steps", 0) + 1
        for weight, *gradients in zip(weights, *(gradients for _, _, gradients in results), strict=True):
            mean = sum(gradients[1:], gradients[0]) / len(gradients)
            weight.grad = mean.contiguous()  # a GPU's convolutions order theirs otherwise, which the optimiser refuses
        nn.utils.clip_grad_norm_(weights, recipe.clip)
        self.optimizer.step()
        self.step += 1
        self.seen += sum(count for count, _, _ in results)
        decay = min(recipe.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), [weight.detach() for weight in weights], 1 - decay)


def train_kernel(
    folder: str | Path,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    config: dict | None = None,
    seed: int = 0,
    resume: bool = False,
    start: str | Path | None = None,
    check_every: int = 20_000,
    seconds_between_saves: float = 120,
    tell: Callable[[str], None] = print,
    should_stop: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    processes: int = 0,
) -> dict:
    """Trains on the photographs in `folder` (sorted by name, every tenth held out) and writes `out`.

    The unfinished training is kept beside `out`, as state_file(out), every two minutes and when it is stopped.

    Args:
        config: of CorrNet, where other than usual.
        start: weights that a training wrote, to go on from where its unfinished state is lost: with the learning rate
            and the examples of where it was, but without the optimiser's memory.
        resume: goes on with it where there is one; the result is the same as without the interruption. The recipe may
            have another number of samples: with fewer the learning rate falls sooner.
        check_every: samples between two measurements on what is held out. `out` is then written too.
        tell: is given one line per check.
        device: where to learn. A GPU wants Recipe(workers=1) and a large batch.
        processes: that make the examples ahead of time; 0: the workers make their own. The examples are the same.

    Returns what is also in the metadata of `out`. Raises BadInput, Cancelled, Diverged.
    """
    check_writable_folder(out)
    recipe = recipe or Recipe()
    training_paths, held_out_paths = split(folder)
    processor = choose_device(device)
    training = Training.begin(recipe, seed, config, processor)
    about = {
        "config": training.network.config,
        "recipe": asdict(recipe),
        "seed": seed,
        "families": {name: share for name, (_, share) in FAMILIES.items()},
        "trained_on": [path.name for path in training_paths],
        "held_out": [path.name for path in held_out_paths],
        "credits": credits_of(folder, training_paths),
    }
    state, last_save = state_file(out), time.monotonic()
    if resume and state.is_file():
        load_state(training, state, about)
    elif start is not None:
        begin_from(training, start)
        tell(f"going on after {training.seen} samples")
    photographs, fixed = Photographs.read(training_paths), validation_set(held_out_paths)
    sides = sides_for(photographs)
    makers = MadeAhead(training_paths, seed, processes) if processes else MadeInPlace(photographs, seed)

    def batches(step: int) -> list[MakeBatch]:
        numbers = range(step * recipe.workers, (step + 1) * recipe.workers)
        return makers.batches(numbers, lambda number: batch_shape(number // recipe.workers, recipe.batch, sides))

    def report() -> dict:
        return about | {"seen": training.seen, "steps": training.step, "curve": training.curve}

    began, before = time.monotonic(), training.seen
    with makers, ThreadPoolExecutor(recipe.workers) as pool, _one_thread_each():
        while training.seen < recipe.samples:
            passed = training.seen // check_every
            training.learn(batches(training.step), recipe, pool)
            if training.seen // check_every > passed or training.seen >= recipe.samples:
                training.curve.append(checked(training, fixed))
                rate = (training.seen - before) / (time.monotonic() - began)
                tell(f"{json.dumps(training.curve[-1])} {rate:.1f} samples/s")
                save_weights(training.average, Path(out), report())
            stop = should_stop()
            if stop or time.monotonic() - last_save > seconds_between_saves or training.seen >= recipe.samples:
                save_state(training, state, about)
                last_save = time.monotonic()
            if stop and training.seen < recipe.samples:
                raise Cancelled("Stopped as you asked; what was learned so far is kept, to go on with.")
        if training.seen == before:  # nothing was left to do, but the weights may not be there
            save_weights(training.average, Path(out), report())
    return report()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Within it torch shares no operation out: the workers are the threads. On a machine that does other work besides,
    thousands of small shared operations a second would each wait for the slower half."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def begin_from(training: Training, weights: str | Path) -> None:
    """Puts the averaged weights of an earlier training into one just begun. Raises BadInput for another network."""
    network, about = load_weights(weights)
    if network.config != training.network.config:
        raise BadInput(f"{Path(weights).name} has another architecture.", "Give weights of the same network.")
    training.network.load_state_dict(network.state_dict())
    training.average.load_state_dict(network.state_dict())
    training.seen, training.step, training.curve = about["seen"], about["steps"], about["curve"]


def state_file(out: str | Path) -> Path:
    """Where the unfinished training of the weights `out` is kept."""
    return Path(out).with_suffix(".training")


def validation_set(paths: list[Path]) -> dict[str, tuple[Tensor, Tensor]]:
    """Photos and kernels per kind of family, the same for every training; {} without held-out photographs."""
    if not paths:
        return {}
    photographs = Photographs.read(paths)
    side = max(side for side in sides_for(photographs) if side <= 64)
    return {
        name: make_batch(photographs, VALIDATION_SEED, number, count, side, families)
        for number, (name, (families, count)) in enumerate(VALIDATION.items())
    }


def checked(training: Training, fixed: dict[str, tuple[Tensor, Tensor]]) -> dict:
    """Mean losses since the last check, and the averaged network's scores on the fixed sets, without turns."""
    steps = training.recent.pop("steps", 0)
    row: dict = {"seen": training.seen} | {name: round(v / steps, 4) for name, v in training.recent.items() if steps}
    training.recent.clear()
    device = next(training.average.parameters()).device
    with torch.inference_mode():
        for name, (photos, kernels) in fixed.items():
            guesses = torch.cat([training.average(part.to(device)).cpu() for part in photos.split(32)])
            row |= {f"{name}_{key}": round(value, 4) for key, value in scores(guesses, kernels).items()}
    return row
