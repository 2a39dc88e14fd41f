"""Runs code where some modules cannot be imported, as if they were not installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from typing import Any

TORCH = ("torch", "torchvision", "sam2")

BEFORE = """
import sys

class Blocked:
    names = {modules}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
AFTER = """
assert not Blocked.names & {name.partition(".")[0] for name in sys.modules}
"""


def run_without(
    modules: Collection[str], code: str, *arguments: object, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own; at its end, none of the modules may be there.

    `arguments` are those of the code, `options` those of `subprocess.run`.
    """
    blocked = BEFORE.format(modules=set(modules)) + code + AFTER
    command = [sys.executable, "-c", blocked, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
