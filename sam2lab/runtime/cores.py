"""Counts the cores that this process may use, which in a container are fewer than there are."""

from __future__ import annotations

import os
from math import ceil, inf
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable() -> int:
    """The cores that this process may run on, limited by the processor time that it is granted.

    On Linux `taskset` gives a process some of the cores. `docker run --cpus 2` and the limits of
    Kubernetes let it run on all of them, but stop it when it has had the time of two, so it can
    use two threads. A part of a core counts as one.

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
    """The cores' worth of time that the control groups around this process grant it."""
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
        # In a container the path may be the host's, which does not exist inside. There the
        # process's own group is the root.
        own = root / place.strip("/")
        around = [folder for folder in (own, *own.parents) if folder.is_relative_to(root)]
        least = min([least, *map(_quota, around)])
    return least


def _quota(group: Path) -> float:
    """The cores' worth of time that one group is granted."""
    for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((group / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        return inf if quota in ("max", "-1") else int(quota) / int(period)
    return inf
