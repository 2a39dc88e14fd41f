"""How many cores this process may use, which in a container are fewer than the machine has."""

from __future__ import annotations

import os
from math import ceil, inf
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable() -> int:
    """The cores that this process may run on, but no more than it is granted the time of.

    On Linux `taskset` gives a process some of the cores. `docker run --cpus 2` and the limits of
    Kubernetes let it run on all of them, and stop it once it has had the time of two: two threads
    are then what it has use for. A part of a core counts as one.

    >>> 1 <= usable() <= os.cpu_count()
    True
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    granted = _granted()
    return allowed if granted >= allowed else max(1, ceil(granted))


def _granted() -> float:
    """The cores' worth of time that all control groups around this process leave it."""
    try:
        groups = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return inf
    least = inf
    for group in groups:
        _, controllers, place = group.split(":", 2)
        # Version 2 has one tree for all controllers, version 1 one for each.
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CGROUPS / "cpu" if controllers else CGROUPS
        # In a container the place may be told as the host sees it, which is nowhere to be found
        # inside: there its own group is the root.
        own = root / place.strip("/")
        around = [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
        least = min([least, *map(_quota, around)])
    return least


def _quota(group: Path) -> float:
    """The cores' worth of time that one group has in each period."""
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((group / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        return inf if quota in ("max", "-1") else int(quota) / int(period)
    return inf
