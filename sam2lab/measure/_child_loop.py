"""Run the function that `child.Child` asks for, and send back what it yields.

This is a script, run by its path. It imports only the standard library.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Load the function that the first line names, and hand the other lines to it."""
    # Output of a library must not get between the lines for the parent.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(line: dict[str, Any]) -> None:
        channel.write(json.dumps(line) + "\n")
        channel.flush()

    # A for loop over sys.stdin reads ahead; this does not.
    lines = map(json.loads, iter(sys.stdin.readline, ""))
    first = next(lines)
    sys.path[:] = first["path"]
    try:
        function, *others = (_load(file, name) for file, name in first["objects"])
        for told in function(lines, *others):
            send(told | {"peak_mb": peak_mb()})
    except Exception as error:
        send({"error": in_a_line(error)})


def in_a_line(error: Exception) -> str:
    """The kind of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def peak_mb() -> float:
    """The most memory that this process has held so far, in 10^6 bytes."""
    if sys.platform == "linux":
        # Not getrusage: on Linux that begins with what the parent held when it forked.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    # In kilobytes on every system but macOS, which counts bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _load(file: str, name: str) -> Any:
    """A function or class of a file, which is read without its package."""
    # A prefix, because files of ours are called like libraries that they import.
    module_name = f"_child_{Path(file).stem}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[module_name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return getattr(sys.modules[module_name], name)


if __name__ == "__main__":
    main()
