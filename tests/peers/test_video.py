"""The comparison of following: turns, figures of measurements that are known, and parts on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lab.cli import main
from sam2lab.measure import machine
from sam2lab.measure.video_latency import write_to_and_fro
from sam2lab.peers.video import measuring, parts
from sam2lab.peers.video.bench import video_bench
from sam2lab.peers.video.contenders import Contender
from sam2lab.peers.video.parts import FIVE, MEMORY, NANO, OURS, STREAM, UPSTREAM
from sam2lab.peers.video.result import VideoBench
from tests.peers.toy_video import open_toy

ABOUT = {"model": "toy", "machine": machine.fingerprint()}


def toy(objects: int = 1, **arguments: Any) -> Contender:
    return Contender(open_toy, arguments, {"keep": "window"}, objects)


def rounds(**ms: float) -> list[dict[str, Any]]:
    """Six rounds, the later the slower, so that only ratios within a round are what they seem."""
    return [
        {"run": 8 + i, "times": {name: each * (1 + i) for name, each in ms.items()}}
        for i in range(6)
    ]


def only(part: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = VideoBench({part: {"about": ABOUT, "lines": lines}}).figures()
    assert set(found["part"]) == {part}
    return found.to_dict("records")


def test_contenders_take_turns_and_those_that_fail_drop_out(tmp_path: Path) -> None:
    size = write_to_and_fro([np.zeros((16, 16, 3), np.uint8)], 6, tmp_path)
    contenders = {"good": toy(), "late": toy(3, fails_at=4), "never": toy(explodes=True)}
    lines = measuring.in_turn(contenders, str(tmp_path), size, warm=2, rounds=4, seed=0)
    errors = {line["contender"]: line["error"] for line in lines if "error" in line}
    assert errors == {
        "never": "RuntimeError: cannot be opened",
        "late": "RuntimeError: broken with 3 objects",
    }
    kept = [line for line in lines if "times" in line]
    assert [line["run"] for line in kept] == [2, 3, 4, 5]
    assert [set(line["times"]) for line in kept] == [{"good", "late"}] * 2 + [{"good"}] * 2


def test_one_alone_tells_its_memory_in_every_frame(tmp_path: Path) -> None:
    size = write_to_and_fro([np.zeros((16, 16, 3), np.uint8)], 3, tmp_path)
    lines = measuring.alone(toy(), str(tmp_path), size, 3)
    assert [line["run"] for line in lines] == [0, 1, 2]
    assert all(0 < line["rss_mb"] <= line["peak_mb"] * 1.01 for line in lines)


def test_a_ratio_is_that_of_frames_of_the_same_round() -> None:
    (figure,) = only("eager", rounds(**{OURS: 60.0, UPSTREAM: 100.0}))
    assert (figure["value"], figure["low"], figure["high"]) == pytest.approx((0.6, 0.6, 0.6))
    assert figure["is_met"]
    assert figure["note"] == f"{OURS} 210 ms, {UPSTREAM} 350 ms; 6 rounds"


def test_five_objects_are_compared_with_five_times_one() -> None:
    (figure,) = only("objects", rounds(**{FIVE: 400.0, OURS: 100.0}))
    assert figure["value"] == pytest.approx(0.8)
    assert not figure["is_met"]
    assert figure["what"].endswith(f"{FIVE} / 5 x {OURS}")


def test_one_that_failed_has_no_ratio_but_a_reason() -> None:
    lines = [*rounds(**{OURS: 60.0}), {"contender": parts.COMPILED, "error": "no compiler"}]
    (figure,) = only("compiled", lines)
    assert np.isnan(figure["value"])
    assert (figure["is_met"], figure["note"]) == (False, f"{parts.COMPILED}: no compiler")


def test_a_nano_without_a_memory_says_so() -> None:
    (figure,) = only(NANO, [{"contender": NANO, "error": "lacks the memory"}])
    assert (np.isnan(figure["value"]), figure["note"]) == (True, f"{NANO}: lacks the memory")


def test_frames_a_second_are_those_of_the_median_frame() -> None:
    lines = [{"run": i, "times": {NANO: 100.0}} for i in range(8)]
    (figure,) = only(NANO, lines)
    assert (figure["value"], figure["is_met"]) == (10, True)


def test_memory_is_compared_at_its_peak_and_with_an_early_frame() -> None:
    def held(name: str, start: float, grows: float) -> list[dict[str, Any]]:
        return [
            {"series": name, "run": i, "total_ms": 1.0}
            | {"rss_mb": start + grows * i, "peak_mb": start + grows * i}
            for i in range(50)
        ]

    share, growth = only(MEMORY, held(OURS, 100, 0) + held(UPSTREAM, 200, 10))
    assert share["value"] == pytest.approx(100 / 690)
    assert (growth["value"], growth["is_met"]) == (1, True)
    _, growth = only(MEMORY, held(OURS, 100, 1) + held(UPSTREAM, 200, 10))
    assert growth["value"] == pytest.approx(149 / 110)
    assert not growth["is_met"]


@pytest.mark.parametrize(("last", "is_met"), [(1.1, True), (1.5, False)])
def test_the_end_of_a_stream_is_compared_with_its_beginning(last: float, is_met: bool) -> None:
    lines = [
        {"run": i, "total_ms": 10 * (last if i > 80 else 1), "rss_mb": 100.0} for i in range(1, 101)
    ]
    memory, time = only(STREAM, lines)
    assert memory["value"] == 1
    assert (time["value"], time["is_met"]) == (pytest.approx(last), is_met)


def test_parts_are_kept_and_told_in_one_report(tmp_path: Path) -> None:
    file = tmp_path / "video.json"
    assert VideoBench.load(file).figures().empty
    kept = VideoBench({NANO: {"about": ABOUT, "lines": rounds(**{NANO: 100.0})}})
    kept.parts["eager"] = {"about": ABOUT, "lines": rounds(**{OURS: 60.0, UPSTREAM: 100.0})}
    kept.save(file)
    report = VideoBench.load(file).report()
    assert report == kept.report()
    assert "| eager |" in report
    assert "| 0.60 [0.60, 0.60] | ≤ 0.65 | yes |" in report
    assert "model toy" in report
    file.write_text("{}")
    with pytest.raises(ValueError, match="no result of video-bench"):
        VideoBench.load(file)


def test_other_parts_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="wanted some of: eager"):
        video_bench(["quick"], folder=tmp_path)
    with pytest.raises(SystemExit):
        main(["video-bench", "--only", "quick"])
    assert "--only" in capsys.readouterr().err
