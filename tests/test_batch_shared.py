"""One kernel for all photos of a folder."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from batch_photos import make_photo, make_photos, quick
from scenes import scene

from benchmarks import split
from kf_core.batch import shared_kernel as shared
from kf_core.batch.run import find_shared, make_job
from kf_core.errors import BadInput, BadSetting, Cancelled
from kf_core.files.picture import read_picture
from kf_core.kernels.base import Evidence
from kf_core.photo import Photo
from kf_core.physics.blur import UniformBlur
from kf_core.physics.kernel import cosine_similarity, gaussian_kernel
from kf_core.pipeline import super_resolve
from kf_core.pixels import to_array
from kf_core.progress import Monitor
from kf_core.run import Run
from kf_core.settings import Settings

SCALE, SIZE = 2, 12
SETTINGS = Settings.preset("fast", scale=SCALE, device="cpu").with_overrides(["refine.rounds=0", "finish.steps=1"])
EVIDENCE = Evidence(margin=0.3, clutter=0.0, excess=0.0, noise=0.0, agreement=0.9)

torch.set_num_threads(1)


def shrunk(kernel, seed=0, side=48):
    """A photo (side, side, 3) uint8 that the kernel has shrunk."""
    hr = scene(side * SCALE, side * SCALE, 2.0, seed)
    return to_array(UniformBlur(kernel, SCALE).A(hr).clamp(-1, 1), np.zeros((1, 1, 3), np.uint8))


def part(pixels):
    return Photo.from_array(pixels, torch.device("cpu"), True)


@pytest.mark.slow
def test_the_pooled_kernel_is_nearer_to_the_truth_than_those_it_is_made_of_and_weighed_by_all_photos():
    truth = gaussian_kernel(SIZE, 2.2)
    random = torch.Generator().manual_seed(1)
    errors = [0.02 * torch.rand(SIZE, SIZE, generator=random) for _ in range(3)]
    alone = [(truth + each) / (truth + each).sum() for each in errors]
    parts = [part(shrunk(truth, seed, 32)) for seed in range(3)]
    found = shared.pooled(alone, parts, SETTINGS, Monitor())
    assert found.photos == 3 and found.kernel.sum() == pytest.approx(1, abs=1e-5)
    alike = [cosine_similarity(each, truth) for each in alone]
    assert cosine_similarity(torch.from_numpy(found.kernel), truth) > max(alike)
    # the evidence is the mean of the photos', whose sum decides
    kernel = torch.from_numpy(found.kernel)
    margins = [shared.margin(each, kernel, SCALE, Monitor()) for each in parts]
    assert found.evidence.margin == pytest.approx(np.mean(margins), abs=0.02)
    assert min(margins) < found.evidence.margin < max(margins)


@pytest.mark.slow
def test_a_photo_enlarged_with_it_is_doubted_as_one_whose_kernel_was_recovered(monkeypatch):
    monkeypatch.setattr(shared, "noise_level", lambda *_: 0.5)
    truth = gaussian_kernel(SIZE, 2.2)
    agreed = shared.SharedKernel(truth.numpy(), 4, evidence=EVIDENCE)
    estimator, settings = agreed.estimator(replace(SETTINGS, refine=replace(SETTINGS.refine, rounds=8)))
    result = super_resolve(shrunk(truth), settings, estimator=estimator)
    assert np.allclose(result.kernel, agreed.kernel)  # not refined, not replaced
    assert result.report["kernel_source"] == "recovered" and result.report["confidence"] > 0.4

    run = Run(torch.device("cpu"), torch.Generator(), Monitor())
    assert estimator(part(shrunk(truth)), run).evidence == replace(EVIDENCE, noise=0.5)
    sharp = read_picture(split.PHOTOS[1]).pixels[100:148, 100:148]  # its own spectrum speaks against the kernel
    assert estimator(part(sharp), run).evidence.margin < -0.1


def test_settings_without_doubt_leave_it_out():
    settings = replace(SETTINGS, doubt=False)
    kernels = [gaussian_kernel(SIZE, sigma) for sigma in (1.8, 2.2)]
    parts = [part(shrunk(each)) for each in kernels]
    found = shared.pooled(kernels, parts, settings, Monitor())
    assert found.evidence is None and found.source == "recovered"
    estimator, settings = found.estimator(settings)
    assert "confidence" not in super_resolve(shrunk(kernels[0]), settings, estimator=estimator).report


@pytest.fixture
def asked(monkeypatch):
    """Photos are asked for their kernels without the work; the list of what was asked."""
    calls = []

    def alone(pixels, settings, told, should_stop):
        calls.append(pixels.shape)
        if should_stop is not None and should_stop():
            raise Cancelled()
        told(1.0)
        return part(pixels), gaussian_kernel(SIZE, 2.0)

    monkeypatch.setattr(shared, "kernel_alone", alone)
    return calls


def test_photos_that_cannot_be_used_have_no_say_and_many_are_not_all_asked(tmp_path, asked, monkeypatch):
    photos = [make_photo(tmp_path / f"{number:02d}.png", number) for number in range(6)]
    photos[2].write_bytes(b"not a photo")
    settings = replace(SETTINGS, doubt=False)
    events = []
    assert shared.find_shared_kernel(photos, settings, events.append).photos == 5
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert {event.total for event in events} == {6}
    monkeypatch.setattr(shared, "ASKED", 3)
    assert shared.find_shared_kernel(photos, settings).photos == 2
    assert shared.spread(photos, 3) == [photos[0], photos[2], photos[5]]
    with pytest.raises(BadInput, match="None of the photos"):
        shared.find_shared_kernel([photos[2]], settings)
    with pytest.raises(Cancelled):
        shared.find_shared_kernel(photos, settings, None, lambda: True)


def test_of_a_large_photo_only_a_telling_part_is_looked_at():
    pixels = np.full((shared.SIDE + 200, shared.SIDE + 300, 3), 128, np.uint8)
    pixels[-100:, -100:] = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
    found = shared.telling_part(pixels)
    assert found.shape == (shared.SIDE, shared.SIDE, 3) and found.std() == pytest.approx(
        pixels[-shared.SIDE :, -shared.SIDE :].std()
    )
    assert shared.telling_part(pixels[:50, :40]).shape == (50, 40, 3)


def test_the_kernel_is_kept_for_the_next_run_with_the_same_settings(tmp_path, asked):
    batch = quick(make_photos(tmp_path / "in", "a.png", "b.png"), tmp_path, kernel=None, shared=True)
    results = {"a.png": "a.png", "b.png": "b.png"}
    first = find_shared(batch, results, tmp_path, None, None)
    again = find_shared(batch, results, tmp_path, None, None)
    assert len(asked) == 2 and np.array_equal(first.kernel, again.kernel) and first.digest() == again.digest()
    changed = replace(batch, settings=replace(batch.settings, seed=1))
    find_shared(changed, results, tmp_path, None, None)
    assert len(asked) == 4
    (tmp_path / "shared-kernel.npz").write_bytes(b"broken")
    find_shared(batch, results, tmp_path, None, None)
    assert len(asked) == 6


def test_what_is_kept_is_all_of_it(tmp_path):
    told = shared.SharedKernel(np.eye(4, dtype=np.float32) / 4, 7, "simple", "a disc", EVIDENCE)
    shared.save_shared_kernel(tmp_path / "k.npz", told, "key")
    back = shared.load_shared_kernel(tmp_path / "k.npz", "key")
    assert back.digest() == told.digest() and (back.photos, back.name, back.evidence) == (7, "a disc", EVIDENCE)
    assert shared.load_shared_kernel(tmp_path / "k.npz", "other") is None


def test_another_shared_kernel_makes_other_results(tmp_path):
    batch = quick(tmp_path / "in", tmp_path / "out", kernel=None, shared=True)
    kernels = [gaussian_kernel(SIZE, sigma).numpy() for sigma in (1.5, 2.5)]
    jobs = [make_job(batch, "a.png", "a.png", tmp_path, tmp_path, shared.SharedKernel(each)) for each in kernels]
    assert jobs[0].key != jobs[1].key


def test_a_batch_with_one_kernel_says_so(tmp_path, asked, monkeypatch):
    from kf_core.batch import pool
    from kf_core.batch.job import run_job
    from kf_core.batch.run import run_batch

    monkeypatch.setattr(pool, "in_processes", lambda todo, *_: map(run_job, todo))
    monkeypatch.setattr("kf_core.stages.noise_level", lambda *_: 0.0)
    batch = quick(make_photos(tmp_path / "in", "a.png", "b.png"), tmp_path / "out", kernel=None, shared=True)
    assert run_batch(batch).done == 2
    rows = (tmp_path / "out" / "kf-batch.csv").read_text().splitlines()[1:]
    assert len(rows) == 2 and all(",shared," in row for row in rows)
    assert run_batch(batch).before == 2 and len(asked) == 2


def test_one_kernel_for_all_is_refused_at_the_same_size(tmp_path):
    with pytest.raises(BadSetting, match="enlarged"):
        shared.find_shared_kernel([tmp_path / "a.png"], Settings.preset("fast", scale=1))
