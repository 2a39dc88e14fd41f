"""`Work` is a folder that remembers what was asked of AI Hub, and the ids of its jobs there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from sam2lab.runtime.files import check_place, replacing
from sam2lab.runtime.typed_json import get, to_json

JOBS_FILE = "jobs.json"
FORMAT = "sam2lab-hub"
DONE, FAILED = "SUCCESS", "FAILED"


@dataclass(frozen=True)
class Asked:
    """What a folder is about: a bundle, by path and key, on a device, with photos to compare on.

    `chipset` and `os` are the device's, as AI Hub lists it.
    """

    bundle: str
    key: str
    device: str
    chipset: str
    os: str
    runtime: str
    precision: str
    photos: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """Something at AI Hub: a model, a dataset or a job, by its id.

    `state` is the job's, in AI Hub's words; what is no job is done at once. `made` is the id of
    the model that the job made, `reason` says why it failed.
    """

    id: str
    state: str = DONE
    made: str = ""
    url: str = ""
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether others may use it."""
        return self.state == DONE

    @property
    def is_running(self) -> bool:
        """Whether it is a job that has not ended."""
        return self.state not in (DONE, FAILED)


@dataclass
class Work:
    """What was asked and how far it is; each change is in the file when a method returns."""

    folder: Path
    asked: Asked
    steps: dict[str, Step] = field(default_factory=dict)

    @classmethod
    def begin(cls, folder: str | os.PathLike[str], asked: Asked) -> Self:
        """Take a new folder, or go on in one that was asked the same.

        There, what failed is forgotten, so that it is tried anew.
        """
        folder = Path(folder)
        check_place("folder", folder)
        if not (folder / JOBS_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            work = cls(folder, asked)
        else:
            work = cls.open(folder)
            new, old = asdict(asked), asdict(work.asked)
            differing = [f"{name} {old[name]!r}" for name in new if new[name] != old[name]]
            if differing:
                raise ValueError(
                    f"folder is {str(folder)!r}, which is about another {' and '.join(differing)}; "
                    "choose another folder"
                )
            work.steps = {name: s for name, s in work.steps.items() if s.state != FAILED}
        work._write()
        return work

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a folder that `begin` took."""
        path = Path(folder) / JOBS_FILE
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(stored, dict) or stored.get("format") != FORMAT:
                raise ValueError(f"it is no {FORMAT}")
            steps = get(dict, stored, "steps")
            read = {name: get(Step, steps, name) for name in steps}
            return cls(Path(folder), get(Asked, stored, "asked"), read)
        except FileNotFoundError:
            raise ValueError(
                f"folder is {str(folder)!r}, which has no {JOBS_FILE}; wanted one that "
                "python -m sam2lab hub submit printed"
            ) from None
        except (ValueError, NotADirectoryError) as reason:
            raise ValueError(
                f"{path} cannot be read: {reason}. Submit to another folder; the jobs themselves "
                "are listed at https://workbench.aihub.qualcomm.com/jobs"
            ) from None

    def note(self, name: str, step: Step | None = None, **changes: Any) -> None:
        """Remember a new step, or changes of one that is known."""
        self.steps[name] = step or replace(self.steps[name], **changes)
        self._write()

    def named(self, *states: str) -> Iterator[tuple[str, Step]]:
        """The steps in one of these states."""
        return ((name, step) for name, step in self.steps.items() if step.state in states)

    def _write(self) -> None:
        stored = {"format": FORMAT, "asked": asdict(self.asked), "steps": self.steps}
        with replacing(self.folder / JOBS_FILE) as beside:
            beside.write_text(to_json(stored) + "\n", encoding="utf-8")
