"""The running page through gradio_client and plain HTTP: what programs, and people who mean harm, get."""

import json
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from web_steps import connect, send, wait_until

import kf_core
from web_demo import examples, photos, runner, service


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return connect(server, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def slow(slow_server, tmp_path_factory):
    return connect(slow_server, tmp_path_factory.mktemp("slow"))


def test_every_button_is_a_documented_endpoint(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    buttons = {"/super_resolve", "/stop", "/look", "/crop", "/fool_it", "/stop_fool_it"}
    assert buttons | {f"/example_{name}" for name in examples.names()} == set(endpoints)
    parameters = {p["parameter_name"]: p for p in endpoints["/super_resolve"]["parameters"]}
    asked = {"photo", "scale", "quality", "kernel_size", "seed", "prior", "kernel_file", "paper", "part", "strength"}
    asked |= {"seconds", "varying"}
    assert set(parameters) == asked
    assert all(parameter["python_type"]["description"] for parameter in parameters.values())  # what each means
    assert not parameters["photo"]["parameter_has_default"] and parameters["scale"]["parameter_default"] == 4
    assert parameters["seconds"]["parameter_default"] == 0 and parameters["varying"]["parameter_default"] is False


def test_about_says_the_limits_of_this_page_and_nothing_untrue(server, client):
    blocks = httpx.get(f"{server.url}config", timeout=60).json()["components"]
    texts = [str(block["props"].get("value") or "") for block in blocks if block["type"] == "markdown"]
    about = " ".join(next(text for text in texts if "Limits of this page" in text).split())
    assert "up to 64 x 64 pixels (4096 in all)" in about and "files of up to 1 MB and 1 megapixels" in about
    assert "has seen parts of other photographs" in about and "EXIF data" in about and "JPEG" in about
    everywhere = " ".join([*texts, str(client.view_api(return_format="dict"))]).lower()
    for untrue in ("nothing but", "'bundled'", "per visitor", "what blurred it"):
        assert untrue not in everywhere


def test_a_16_bit_photo_stays_one(client, photo):
    large = client.predict(photo=send(photo("deep.png", bits=16)), scale=2, api_name="/super_resolve")[0]
    result = kf_core.read_picture(large).pixels
    assert result.dtype == np.uint16 and len(np.unique(result & 255)) > 50


@pytest.mark.parametrize("name", ["a photo.jpg", "b.tif"])
def test_a_photo_goes_in_and_the_true_files_come_out(client, photo, name):
    path = photo(name)
    outputs = client.predict(photo=send(path), scale=2, api_name="/super_resolve")
    large, kernel, kernel_picture, report, verdict, before, after, figure = outputs[:8]
    result = kf_core.read_picture(large).pixels
    assert result.shape == (80, 96, 3) and result.dtype == np.uint8
    assert np.load(kernel, allow_pickle=False).shape == (12, 12)
    said = json.loads(Path(report).read_text())
    assert said["input_size"] == [48, 40] and said["output_size"] == [96, 80] and said["settings"]["seed"] == 0
    assert "<strong>" in verdict and "Time taken" in verdict
    assert kf_core.read_picture(before).pixels.shape == (40, 48, 3)
    assert kf_core.read_picture(after).pixels.shape == (80, 96, 3)
    assert Path(large).name == Path(name).stem.replace(" ", "_") + "_x2.png"
    assert Path(kernel_picture).stat().st_size and Path(figure).stat().st_size


def test_progress_can_be_followed(client, photo):
    job = client.submit(photo=send(photo()), scale=2, seed=3, api_name="/super_resolve")
    job.result(timeout=120)
    views = [outputs[-1] for outputs in job.outputs()]
    percents = [
        int(view.split('aria-valuenow="')[-1].split('"')[0].split("'")[0])
        for view in (v.replace("aria-valuenow='", 'aria-valuenow="') for v in views)
        if "aria-valuenow" in view
    ]
    assert percents and percents == sorted(percents) and "Done." in views[-1]


def test_a_time_is_kept_to_and_blur_that_varies_is_looked_for(slow, photo):
    """With more passes than anybody waits for: without the time it would not end."""
    outputs = slow.predict(photo=send(photo()), scale=2, seconds=1.5, varying=True, api_name="/super_resolve")
    said = json.loads(Path(outputs[3]).read_text())
    assert 2 <= said["settings"]["finish"]["steps"] <= 14 and said["settings"]["varying"]["regions"] == 4
    assert "passes in place of 100000" in outputs[4] and "too small" in outputs[4]  # of the photo, to have regions


def test_a_known_kernel_only_restores(client, photo, tmp_path):
    kernel = np.zeros((8, 8), np.float32)
    kernel[3:5, 3:5] = 1
    np.save(tmp_path / "kernel.npy", kernel)
    outputs = client.predict(
        photo=send(photo()), scale=2, kernel_file=send(tmp_path / "kernel.npy"), api_name="/super_resolve"
    )
    assert np.allclose(np.load(outputs[1]), kernel / 4)
    assert json.loads(Path(outputs[3]).read_text())["kernel_source"] == "given"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kernel_size": 7}, "does not fit a scale of 2"),
        ({"prior": "../../etc/passwd"}, "does not name a prior"),
        ({"seed": -1}, None),
        ({"quality": "best"}, None),
        ({"scale": 9}, None),
    ],
)
def test_wrong_settings_are_refused_before_the_queue(client, photo, change, sentence):
    with pytest.raises(Exception, match=sentence) as caught:
        client.predict(photo=send(photo()), **{"scale": 2, **change}, api_name="/super_resolve")
    assert "Traceback" not in str(caught.value) and not runner.busy()


@pytest.mark.parametrize(
    ("name", "sentence"), [("large.png", "takes up to 64 x 64"), ("fake.png", "not a photo that can be read")]
)
def test_photos_beyond_the_limits_are_refused_before_the_queue(client, photo, tmp_path, name, sentence):
    path = photo(name, size=(100, 64))
    if name == "fake.png":
        path.write_bytes(b"<html>" * 50)
    with pytest.raises(Exception, match=sentence):
        client.predict(photo=send(path), scale=2, api_name="/super_resolve")


def test_a_large_photo_is_offered_a_crop(client, photo):
    path = photo("big.png", size=(120, 90))
    _, said = client.predict(photo=send(path), api_name="/look")[:2]
    assert "takes up to 64 x 64" in said
    part, said = client.predict(photo=send(path), api_name="/crop")[:2]
    pixels = kf_core.read_picture(part).pixels
    assert pixels.shape[0] * pixels.shape[1] <= 64 * 64 and "Good to go" in said


def test_a_tiff_is_shown_as_png_with_all_its_bits(client, photo):
    shown = client.predict(photo=send(photo("deep.tif", bits=16)), api_name="/look")[0]
    assert Path(shown).suffix == ".png" and kf_core.read_picture(shown).pixels.dtype == np.uint16


def test_try_to_fool_it_scores_against_the_truth(client):
    outputs = client.predict(photo="hats", kernel="L", api_name="/fool_it")
    score, degraded, true_kernel, found, truth, recovered = outputs[:6]
    assert "cosine" in score and "dB" in score
    assert kf_core.read_picture(degraded).pixels.shape == (64, 64, 3)
    assert kf_core.read_picture(truth).pixels.shape == kf_core.read_picture(recovered).pixels.shape == (256, 256, 3)
    assert Path(true_kernel).read_bytes() != Path(found).read_bytes()


def test_an_empty_drawing_is_refused(client):
    with pytest.raises(Exception, match="sheet is empty"):
        client.predict(photo="hats", kernel="my drawing", drawing="", api_name="/fool_it")


def test_examples_show_at_once(client):
    name = examples.names()[0]
    outputs = client.predict(api_name=f"/example_{name}")
    assert kf_core.read_picture(outputs[1]).pixels.shape[:2] == (512, 512)
    assert np.array_equal(np.load(outputs[2]), examples.cached(name).kernel)


def test_stop_ends_the_run_and_frees_the_device(slow, photo):
    job = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: job.outputs() and runner.busy())
    assert "Stopped" in slow.predict(api_name="/stop")
    with pytest.raises(Exception, match="stopped"):
        job.result(timeout=60)
    wait_until(lambda: not runner.busy())


def test_a_visitor_who_leaves_frees_the_device(slow, photo):
    job = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: job.outputs() and runner.busy())
    job.cancel()
    wait_until(lambda: not runner.busy())


def test_one_job_per_visitor(slow, slow_server, photo):
    job = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: job.outputs())
    with pytest.raises(Exception, match="still waiting or running"):
        slow.predict(photo=send(photo()), scale=2, api_name="/super_resolve")
    slow.predict(api_name="/stop")
    wait_until(lambda: not runner.busy())


def test_a_stranger_cannot_stop_my_run(slow, slow_server, photo, tmp_path):
    job = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: job.outputs() and runner.busy())
    stranger = connect(slow_server, tmp_path)
    assert "Nothing of yours" in stranger.predict(api_name="/stop")
    assert runner.busy()
    slow.predict(api_name="/stop")
    wait_until(lambda: not runner.busy())


def test_a_job_that_waits_is_stopped_before_it_starts(slow, slow_server, photo, tmp_path):
    running = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: running.outputs() and runner.busy())
    second = connect(slow_server, tmp_path / "second")
    waiting = second.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    wait_until(lambda: "Stopped" in second.predict(api_name="/stop"))
    slow.predict(api_name="/stop")
    with pytest.raises(Exception, match="You stopped"):
        waiting.result(timeout=60)
    wait_until(lambda: not runner.busy())


def test_a_job_is_stopped_while_its_photo_is_still_being_read(slow, photo, monkeypatch):
    reading, go_on = threading.Event(), threading.Event()
    load = photos.load

    def slowly(*arguments):
        reading.set()
        go_on.wait(60)
        return load(*arguments)

    monkeypatch.setattr(photos, "load", slowly)
    monkeypatch.setattr(service, "SECONDS_TO_END", 0.2)
    job = slow.submit(photo=send(photo()), scale=2, api_name="/super_resolve")
    assert reading.wait(60)
    assert "Stopped" in slow.predict(api_name="/stop")
    go_on.set()
    with pytest.raises(Exception, match="You stopped"):
        job.result(timeout=60)
    assert not runner.busy()


# --- people who mean harm ---


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../etc/passwd", "app.py", "pyproject.toml", "kf_core/weights/config.json",
             "file:///etc/passwd", "/proc/self/environ"]
)  # fmt: skip
def test_no_file_outside_its_folder_is_served(server, path):
    absolute = str(Path(path).resolve()) if not path.startswith(("/", "file:", "..")) else path
    answer = httpx.get(f"{server.url}gradio_api/file={absolute}")
    assert answer.status_code in (403, 404)


def test_a_path_on_the_server_is_no_photo(server):
    body = {
        "data": [{"path": str(Path("kf_core/examples/windmill.png").resolve()), "meta": {"_type": "gradio.FileData"}}]
    }
    started = httpx.post(f"{server.url}gradio_api/call/look", json=body)
    if started.status_code == 200:
        answer = httpx.get(f"{server.url}gradio_api/call/look/{started.json()['event_id']}", timeout=60)
        assert "event: error" in answer.text and "Good to go" not in answer.text


def test_names_that_try_to_leave_the_folder_stay_in_it(server, photo):
    with open(photo(), "rb") as file:
        answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": ("../../../../tmp/evil.png", file)})
    kept = Path(answer.json()[0]).resolve()
    assert kept.name == "evil.png" and Path(server.app.GRADIO_CACHE).resolve() in kept.parents
    assert not Path("/tmp/evil.png").exists()


def test_uploads_have_a_limit(server):
    answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": ("big.png", bytes(2 * 2**20))}, timeout=60)
    assert answer.status_code == 413


def test_the_page_is_an_mcp_server(server):
    async def tools():
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with (
            streamablehttp_client(f"{server.url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return (await session.list_tools()).tools

    import anyio

    found = {tool.name: tool for tool in anyio.run(tools)}
    tool = next(tool for name, tool in found.items() if name.endswith("super_resolve"))
    assert "kernel" in tool.description and "photo" in tool.inputSchema["properties"]


def test_many_visitors_are_served_in_turn(server, photo):
    paths = [photo(f"{number}.png") for number in range(4)]
    done = []

    def visit(path):
        client = connect(server, path.parent / path.stem)
        done.append(client.predict(photo=send(path), scale=2, api_name="/super_resolve")[0])

    threads = [threading.Thread(target=visit, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(Path(name).name for name in done) == [f"{path.stem}_x2.png" for path in paths]
    assert not runner.busy()
