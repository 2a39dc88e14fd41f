"""`give_back` gives memory that is free again back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Give the system what the C library of Linux keeps for later, when much was freed.

    After tiny was traced it keeps 0.7 GB, in pieces that what comes next finds too small. Libraries
    without `malloc_trim` decide for themselves.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
