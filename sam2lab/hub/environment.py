"""Find the Python that has Qualcomm's client, or make one an environment of its own.

The client, `qai-hub`, has its own environment because of what it wants of others: protobuf up to
6.31.1 and python-dateutil before 3. Of protobuf, onnx 1.23 takes 6.31.1 and later ones, so that a
single version is left to both, and none from the next onnx on.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sam2lab import settings
from sam2lab.hub.errors import HubError
from sam2lab.measure.child import kill

# The version that the tests drive.
REQUIREMENT = "qai-hub==0.56.0"
VARIABLE = "SAM2LAB_QAI_HUB"
# pip takes a minute; the rest is for a slow network.
PATIENCE_S = 900.0
MAKE = "python -m sam2lab hub setup"
READY = ".ready"


def folder() -> Path:
    """Where `make` puts the environment."""
    return settings.cache_folder() / REQUIREMENT


def find() -> Path:
    """The interpreter that can import the client.

    The one that `SAM2LAB_QAI_HUB` names, or this one if the client is installed here, or that of
    the environment which `make` made.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise HubError(
                "client",
                f"{VARIABLE} is {named!r}, which is no file; wanted the python of an environment "
                f"with {REQUIREMENT}. Or unset it, and run: {MAKE}",
            )
        return Path(named)
    if importlib.util.find_spec("qai_hub"):
        return Path(sys.executable)
    if (folder() / READY).is_file():
        return _python(folder())
    raise HubError(
        "client",
        f"Qualcomm's client is not here. Make an environment for it (0.2 GB): {MAKE}. Or let "
        f"{VARIABLE} name the python of an environment with {REQUIREMENT}",
    )


def make() -> Path:
    """Make the environment with venv and pip, if it is not there, and return its interpreter.

    26 s on two cores, and 165 MB. What an interrupted call left is deleted.
    """
    place = folder()
    if (place / READY).is_file():
        return _python(place)
    shutil.rmtree(place, ignore_errors=True)
    python = _python(place)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    for step in ([sys.executable, "-m", "venv", str(place)], [*pip, "--quiet", REQUIREMENT]):
        failure = _run(step)
        if failure:
            raise HubError(
                "client",
                f"the client's environment could not be made: {' '.join(step)} said "
                f"{failure!r}. Make one by other means, and let {VARIABLE} name its python",
            )
    (place / READY).touch()
    return python


def _run(command: Sequence[str]) -> str:
    """The last line of what a command printed where it failed, nothing where it did not."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    with process:
        try:
            said, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            said = f"nothing to its end within {PATIENCE_S:g} s"
        finally:
            kill(process)
    return (said.strip().splitlines() or ["nothing"])[-1] if process.returncode else ""


def _python(environment: Path) -> Path:
    inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return environment / inside
