"""The real client against the stand-in: what is asked of it, what comes home, what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sam2lab import hub
from sam2lab.cli import main
from sam2lab.hub.errors import HubError
from sam2lab.measure import devices
from tests.hub import toy_bundle
from tests.hub.conftest import StandIn, write_token

S24 = "Samsung Galaxy S24"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return toy_bundle.write(tmp_path / "toy").folder


def typed(*argv: str | Path) -> int:
    try:
        return main(list(map(str, argv)))
    except SystemExit as stop:
        return stop.code


def test_a_bundle_comes_home_with_times_and_masks(
    cloud: StandIn, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.control(busy=3)
    out = tmp_path / "work"
    assert typed("hub", "submit", bundle, "--device", S24, "--precision", "w8a8", "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    asked = cloud.control()
    assert [kind for kind, _ in asked["jobs"].values()] == ["quantize_job", "compile_job"]

    assert typed("hub", "status", out) == 0
    said = capsys.readouterr().out
    assert "encoder/quantize" in said
    assert f"{cloud.url}/jobs/" in said

    assert typed("hub", "fetch", out) == 0
    said = capsys.readouterr()
    assert "Snapdragon 8 Gen 3 Mobile" in said.out
    assert "encoder/run: PROVISIONING_DEVICE" in said.err
    jobs = cloud.control()["jobs"]
    assert sorted(jobs.values()) == [
        [
            "compile_job",
            "--target_runtime tflite --truncate_64bit_io --truncate_64bit_tensors",
        ],
        ["compile_job", "--target_runtime tflite --truncate_64bit_tensors"],
        *2 * [["inference_job", ""]],
        ["quantize_job", ""],
    ]
    assert {"encoder.tflite", "decoder.tflite"} < {path.name for path in out.iterdir()}

    # The stand-in computes with the same graphs in fixed sizes, by the same library.
    masks = hub.masks(out)
    assert masks["iou"].min() > 0.99
    assert masks.groupby("kind").size().to_dict() == {"box": 9, "point + negative": 9}
    rows = hub.profiles(out)
    assert rows["precision"].tolist() == ["w8a8", "float"]
    assert rows["inference_ms"].tolist() == [49.966, 49.966]
    table = pd.concat([devices.published(), rows], ignore_index=True)
    assert len(devices.select(table, "SAM2Encoder", "TFLITE", "w8a8")) > 1

    # All is here, so nothing is asked but the profiles.
    before = len(cloud.control()["requests"])
    assert hub.fetch(hub.Work.open(out), print)
    assert cloud.control()["requests"][before:].count("POST /api/v1/jobs") == 0

    (out / "masks.csv").unlink()
    np.savez(out / "decoder_outputs.npz", masks=np.zeros((6, 1, 3, 8, 8), np.float32))
    with pytest.raises(HubError, match="the decoder on the device gave"):
        hub.fetch(hub.Work.open(out), print)


def test_files_for_devices_run_as_they_are(
    cloud: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, runtime in (("tflite", "TFLITE"), ("dlc", "QNN_DLC")):
        folder = toy_bundle.write(tmp_path / kind, kind, "w8a8").folder
        out = tmp_path / f"{kind}-work"
        cloud.control(forget=True)
        assert typed("hub", "submit", folder, "--device", S24, "--out", out) == 0
        assert typed("hub", "fetch", out) == 0
        jobs = cloud.control()["jobs"]
        assert [kind for kind, _ in jobs.values()] == 2 * ["inference_job"]
        rows = hub.profiles(out)
        assert rows["runtime"].tolist() == 2 * [runtime]
        assert rows["precision"].tolist() == 2 * ["w8a8"]
    # These run here too, and the device's answers are the same; nothing here runs the others, and
    # their weights are in no file that ships.
    assert hub.masks(tmp_path / "tflite-work")["iou"].min() == 1
    assert len(hub.masks(tmp_path / "dlc-work")) == 0
    assert "the weights of these files are not here" in capsys.readouterr().err


def test_the_decoder_is_quantised_too_where_that_is_asked_for(
    cloud: StandIn, bundle: Path, tmp_path: Path
) -> None:
    work = hub.submit(bundle, S24, "qnn_dlc", "w8a8-full", folder=tmp_path / "work")
    hub.fetch(work, print)
    jobs = sorted(cloud.control()["jobs"].values())
    decoder = "--target_runtime qnn_dlc --truncate_64bit_io --truncate_64bit_tensors"
    assert ["compile_job", decoder] in jobs
    assert [kind for kind, _ in jobs].count("quantize_job") == 2
    assert hub.profiles(work.folder)["precision"].tolist() == 2 * ["w8a8"]


def test_what_was_begun_goes_on_after_an_interrupt(
    cloud: StandIn, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.control(busy=3)
    work = hub.submit(bundle, S24, "qnn_dlc")

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sam2lab.hub.following.time.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hub.fetch(work, print)
    assert not hub.fetch(hub.Work.open(work.folder), print, wait=False)
    again = hub.submit(bundle, S24, "qnn_dlc", report=pytest.fail)
    assert again.folder == work.folder
    assert hub.fetch(again, print)
    kinds = [kind for kind, _ in cloud.control()["jobs"].values()]
    assert sorted(kinds) == [*2 * ["compile_job"], *2 * ["inference_job"]], "none twice"
    assert (work.folder / "decoder.dlc").is_file()


def test_a_failed_job_is_told_and_tried_anew(
    cloud: StandIn, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.control(fail="compile_job")
    work = hub.submit(bundle, S24, "onnx")
    assert typed("hub", "fetch", work.folder) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "encoder/compile failed: Failed to convert: operator Gather" in said
    assert "decoder/compile failed" in said
    assert f"{cloud.url}/jobs/" in said
    cloud.control(fail="")
    before = len(cloud.control()["jobs"])
    again = hub.submit(bundle, S24, "onnx")
    assert len(cloud.control()["jobs"]) == before + 2
    assert not list(again.named("FAILED"))


def test_a_device_that_is_busy_for_minutes_is_spoken_of(
    cloud: StandIn, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.control(busy=12)
    work = hub.submit(bundle, S24)
    minutes = iter(np.arange(0.0, 3600.0, 10.0))
    monkeypatch.setattr("sam2lab.hub.following.time.monotonic", lambda: next(minutes))

    def until_said(line: str) -> None:
        if "PROVISIONING_DEVICE for 1 min" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.fetch(work, until_said)


def test_too_many_requests_are_tried_again_and_given_up(cloud: StandIn, bundle: Path) -> None:
    # The client itself asks seven times.
    cloud.control(throttled=10)
    said: list[str] = []
    hub.submit(bundle, S24, report=said.append)
    assert sum("too many requests, trying again" in line for line in said) == 1
    cloud.control(throttled=1000)
    with pytest.raises(HubError, match="Too many jobs") as caught:
        hub.submit(bundle, S24, "onnx", report=said.append)
    assert caught.value.reason == "busy"


def test_a_download_that_breaks_off_leaves_nothing_and_is_taken_up(
    cloud: StandIn, bundle: Path
) -> None:
    work = hub.submit(bundle, S24)
    cloud.control(broken=1000)
    with pytest.raises(HubError) as caught:
        hub.fetch(work, print)
    assert caught.value.reason in ("unreachable", "download")
    names = {path.name for path in work.folder.iterdir()}
    assert names == {"jobs.json", "uploaded"}
    cloud.control(broken=0)
    assert hub.fetch(hub.Work.open(work.folder), print)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("Samsung Galaxy S42", "near to it is Samsung Galaxy S24"),
        ("Nokia 3310", "near to it is nothing"),
    ],
)
def test_an_unknown_device_is_refused_before_anything_is_uploaded(
    cloud: StandIn, bundle: Path, device: str, said: str
) -> None:
    with pytest.raises(HubError, match=said):
        hub.submit(bundle, device)
    assert {line.split()[0] for line in cloud.control()["requests"]} == {"GET"}


def test_devices_are_listed(cloud: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("hub", "devices", "ultra") == 0
    only = "Samsung Galaxy S24 Ultra  (system 14, qualcomm-snapdragon-8gen3)\n"
    assert capsys.readouterr().out == only


@pytest.mark.parametrize("token", ["wrong", None])
def test_without_the_right_token_it_says_where_to_get_one_and_what_works_without(
    cloud: StandIn,
    bundle: Path,
    tmp_path: Path,
    token: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if token:
        write_token(tmp_path / "client.ini", cloud.url, token)
    else:
        (tmp_path / "client.ini").unlink()
    assert typed("hub", "submit", bundle, "--device", S24) == 1
    (said,) = capsys.readouterr().err.splitlines()
    for part in (
        "https://aihub.qualcomm.com",
        "qai-hub configure --api_token",
        "python -m sam2lab export",
    ):
        assert part in said
    assert not (tmp_path / "models").exists()


def test_where_nobody_answers_it_says_so(cloud: StandIn, bundle: Path, tmp_path: Path) -> None:
    write_token(tmp_path / "client.ini", "http://127.0.0.1:9", "right")
    with pytest.raises(HubError, match="Look at the network") as caught:
        hub.submit(bundle, S24)
    assert caught.value.reason == "unreachable"


def test_a_bundle_that_changed_meanwhile_is_refused(cloud: StandIn, bundle: Path) -> None:
    work = hub.submit(bundle, S24)
    stored = json.loads((work.folder / "jobs.json").read_text())
    stored["asked"]["key"] = "another"
    (work.folder / "jobs.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="was changed since"):
        hub.fetch(hub.Work.open(work.folder), print)
