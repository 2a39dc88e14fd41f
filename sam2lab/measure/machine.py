"""Describe the machine, its software and an engine, without which a time has no meaning."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from sam2lab.runtime import cores
from sam2lab.runtime.engines.protocol import Engine

Facts = dict[str, str | int | float]

LIBRARIES = (
    *("sam2lab", "numpy", "onnxruntime", "openvino"),
    *("torch", "torchvision", "scipy", "pillow"),
)

# Instructions that decide how fast a matrix product is, as Linux calls them.
FLAGS = (
    *("avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
APPLE_FLAGS = {
    "AdvSIMD": "asimd",
    "FEAT_FP16": "asimdhp",
    "FEAT_DotProd": "asimddp",
    "FEAT_I8MM": "i8mm",
    "FEAT_BF16": "bf16",
    "FEAT_SME": "sme",
}

MB = 1e6


def fingerprint(engine: Engine | None = None) -> Facts:
    """The machine and its software, with `engine_facts` if an `engine` is given.

    It holds no user, host or folder name. `cores` are those of the processor, `usable_cores` those
    that this process may use, in a container too (see `cores.usable`); `memory_mb` counts 10^6
    bytes.

    >>> facts = fingerprint()
    >>> facts["cores"] >= 1, facts["memory_mb"] > 0, "python" in facts
    (True, True, True)
    """
    facts: Facts = {
        "cpu": _cpu_model(),
        "cpu_flags": " ".join(_cpu_flags()) or "unknown",
        "architecture": platform.machine(),
        "cores": psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        "logical_cores": psutil.cpu_count() or 1,
        "usable_cores": cores.usable(),
        "memory_mb": round(psutil.virtual_memory().total / MB),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            facts[library] = metadata.version(library)
    for variable in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS"):
        if variable in os.environ:
            facts[variable.lower()] = os.environ[variable]
    return facts if engine is None else facts | engine_facts(engine)


def engine_facts(engine: Engine) -> Facts:
    """The model of an engine, its weights, and the place where its work is done.

    `engine_key` changes with the weights. An engine that reports its execution providers also
    has `providers`; `threads` is what it was given, and 0 leaves the number to the library.
    """
    info = engine.info
    facts: Facts = {
        "engine": type(engine).__name__,
        "engine_key": engine.key,
        "model": info.name,
        "size": info.size,
        "version": info.version,
        "precision": info.precision,
        "input_size": "x".join(map(str, info.input_size)),
        "weights": info.weights,
    }
    report: Any = getattr(engine, "report", None)
    if report is not None:
        facts["providers"] = "; ".join(
            f"{graph}: " + ", ".join(f"{count} nodes on {name}" for name, count in taken.items())
            for graph, taken in report.nodes.items()
        )
    if hasattr(engine, "threads"):
        facts["threads"] = engine.threads or 0
    if hasattr(engine, "device"):
        facts["device"] = str(engine.device)
        # Process-wide in torch: an engine has no number of its own.
        facts["threads"] = sys.modules["torch"].get_num_threads()
    return facts


def describe(facts: Facts) -> str:
    """One line for the foot of a figure.

    >>> describe({"cpu": "Some CPU", "usable_cores": 2, "memory_mb": 8000, "system": "Linux 6"})
    'Some CPU, 2 cores, 8 GB, Linux 6'
    """
    memory_gb = round(float(facts["memory_mb"]) / 1000)
    cores = "1 core" if facts["usable_cores"] == 1 else f"{facts['usable_cores']} cores"
    return f"{facts['cpu']}, {cores}, {memory_gb} GB, {facts['system']}"


def resident_mb() -> float:
    """The memory that this process holds at this moment, in 10^6 bytes."""
    return float(psutil.Process().memory_info().rss) / MB


def _cpu_model() -> str:
    found = ""
    if platform.system() == "Linux":
        found = _cpuinfo().get("model name", "")
    elif platform.system() == "Darwin":
        found = _sysctl("machdep.cpu.brand_string")
    # On Windows this is the family and stepping; on Linux it is mostly empty.
    return found or platform.processor() or platform.machine() or "unknown"


def _cpu_flags() -> list[str]:
    if platform.system() == "Darwin":
        return [
            name
            for flag, name in APPLE_FLAGS.items()
            if _sysctl(f"hw.optional.{'' if flag == 'AdvSIMD' else 'arm.'}{flag}") == "1"
        ]
    listed = _cpuinfo()
    present = set((listed.get("flags") or listed.get("Features") or "").split())
    return [flag for flag in FLAGS if flag in present]


def _cpuinfo() -> dict[str, str]:
    """The first processor in /proc/cpuinfo; empty where there is no such file."""
    with contextlib.suppress(OSError):
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
        pairs = [line.partition(":") for line in first.splitlines()]
        return {key.strip(): value.strip() for key, _, value in pairs}
    return {}


def _sysctl(name: str) -> str:
    with contextlib.suppress(OSError):
        done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True)
        return done.stdout.strip()
    return ""
