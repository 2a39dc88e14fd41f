"""Memory that is free again goes back to the system."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from sam2lab.export.freed import give_back


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries decide themselves")
def test_gaps_between_what_is_used_are_given_back() -> None:
    # Smaller pieces than these are Python's own, and larger ones are given back one by one.
    pieces = [bytearray(b"x" * 100_000) for _ in range(2000)]
    used = pieces[::20]
    before = resident()
    del pieces
    give_back()
    assert before - resident() > 100_000_000
    assert len(used) == 100
