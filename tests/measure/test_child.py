"""A child process: lines go and come back, and how it ended is told."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
import pytest

from sam2lab.measure import child as module
from sam2lab.measure.child import PACKAGE_HOME, Child, ChildError
from tests.measure.in_child import Doubled, double, fail, leave, loaded, start_another, wait


def test_lines_go_and_come_back_whatever_is_printed() -> None:
    with Child(double, Doubled) as child:
        assert child.ask(number=3)["doubled"] == 6
        answer = child.ask(number=4)
    assert answer["doubled"] == 8
    assert answer["path"][0] == PACKAGE_HOME
    assert answer["peak_mb"] > 1


def test_only_the_standard_library_is_there_at_first() -> None:
    with Child(loaded) as child:
        told = child.hear()
        assert told is not None
        assert child.hear() is None, "the function has returned"
    packages = {name.split(".")[0] for name in told["modules"]}
    assert not packages & {"sam2lab", "tests", "lazy_loader", "numpy"}
    assert Path(told["first"]) != Path(module.__file__).parent


def test_an_error_is_a_line() -> None:
    with Child(fail) as child:
        assert child.hear()["step"] == 1
        with pytest.raises(ChildError, match=r"^ValueError: no luck$"):
            child.hear()


def test_a_process_that_ends_by_itself_has_its_last_words_told() -> None:
    with Child(leave) as child, pytest.raises(ChildError, match=r"^out of order$"):
        child.hear()


def test_a_process_that_is_killed_says_so() -> None:
    with Child(wait) as child:
        child._process.kill()
        with pytest.raises(ChildError, match="the process ended with -9"):
            child.ask(do="this")


def test_a_process_that_hangs_is_given_up() -> None:
    with (
        Child(wait, patience_s=0.01) as child,
        pytest.raises(ChildError, match=r"silent for 0\.01 s"),
    ):
        child.hear()


def test_a_process_that_waits_is_ended_on_leaving() -> None:
    with Child(wait) as child:
        pass
    assert child._process.poll() is not None


def test_what_a_process_has_started_ends_with_it() -> None:
    with Child(start_another) as child:
        other = psutil.Process(child.hear()["pid"])
        assert other.is_running()
    # The system may take its time to take away what was killed.
    give_up = time.monotonic() + 60
    with contextlib.suppress(psutil.NoSuchProcess):
        while other.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < give_up, "it lives on"
            time.sleep(0.01)
