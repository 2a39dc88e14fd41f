"""A child process: lines go and come back, and how it ended is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.measure.child import PACKAGE_HOME, Child

ECHO = """
import sys
for line in sys.stdin:
    print(line, end="", flush=True)
"""
FAILING = """
import sys
print("{}", flush=True)
sys.exit("no luck")
"""


@pytest.fixture
def child(request: pytest.FixtureRequest, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(request.param)
    with Child(script) as started:
        yield started


@pytest.mark.parametrize("child", [ECHO], indirect=True)
def test_a_line_arrives_with_the_places_of_modules(child: Child) -> None:
    child.send({"do": "this"})
    heard = child.hear()
    assert heard is not None
    assert heard["do"] == "this"
    assert heard["path"][0] == PACKAGE_HOME


@pytest.mark.parametrize("child", [FAILING], indirect=True)
def test_whoever_has_ended_is_heard_no_more_and_its_end_is_told(child: Child) -> None:
    assert child.hear() == {}
    assert child.hear() is None
    assert child.end() == (1, "no luck\n")
    child.send({"do": "that"})


@pytest.mark.parametrize("child", [ECHO], indirect=True)
def test_a_process_that_waits_is_ended_on_leaving(child: Child) -> None:
    with child:
        pass
    assert child._process.poll() is not None
