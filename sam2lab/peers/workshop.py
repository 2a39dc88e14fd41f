"""The folder in which contenders' files are made and kept, by what went into them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2lab.peers import making
from sam2lab.peers.contenders import Contender
from sam2lab.peers.process import Child
from sam2lab.peers.running import SIDE
from sam2lab.reference import zoo
from sam2lab.runtime.files import replacing

PACKAGE = Path(__file__).parents[1]
# What decides about our own files, and about how others' are made.
SOURCES = ("export", "reference", "runtime", "scenes")


class Workshop:
    """Weights, a photo, and the files that each exporter made of the weights.

    Files are made once, and again when a version, the weights or our own code change.
    """

    def __init__(
        self,
        folder: Path,
        size: str,
        weights: str | os.PathLike[str],
        version: str,
        photo: npt.NDArray[Any],
    ) -> None:
        model = zoo.load(size, weights, version)
        self.weights = model.info.weights
        self.folder = folder / f"{size}-{version}-{_digest(self.weights)[:8]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = self.folder / "checkpoint.pt"
        if not checkpoint.is_file():
            with replacing(checkpoint) as beside:
                torch.save({"model": model.module.state_dict()}, beside)
        self.job: dict[str, Any] = {
            "size": size,
            "version": version,
            "checkpoint": str(checkpoint),
            "config": str(zoo.config_file(size, version)),
            "side": SIDE,
        }
        # Once, so that a run that is long goes on with the files that it began with.
        self._sources = _sources(p for part in SOURCES for p in (PACKAGE / part).rglob("*.py"))
        self.photo_digest = hashlib.sha256(photo.tobytes()).hexdigest()[:8]
        self.photo = self.folder / f"photo-{self.photo_digest}.npy"
        with replacing(self.photo) as beside, beside.open("wb") as file:
            np.save(file, photo)

    def place(self, contender: Contender) -> Path:
        """Where a contender's files lie, or will."""
        if contender.files == "checkpoint":
            return Path(self.job["checkpoint"])
        made_of: list[Any] = [contender.files, contender.versions(), self.job | {"checkpoint": ""}]
        made_of.append(_sources([PACKAGE / "peers" / "making.py"]))
        if contender.files.startswith("sam2lab"):
            made_of.append(self._sources)
            # The same files, whoever runs them.
            made_of[1] = {k: v for k, v in contender.versions().items() if k != "openvino"}
        return self.folder / f"{_slug(contender.files)}-{_digest(made_of)[:12]}"

    def make(self, contender: Contender) -> Path:
        """Make a contender's files where they are not there yet; `ChildError` where it fails."""
        place = self.place(contender)
        if place.exists():
            return place
        job = dict(self.job)
        source = making.MADE_FROM.get(contender.files)
        if source is not None:
            job[source] = str(self.make(replace(contender, files=source)))
        unfinished = self.folder / f".{place.name}.{secrets.token_hex(4)}"
        unfinished.mkdir()
        try:
            with Child("_child.py") as child:
                child.ask(do="make", files=contender.files, job=job, folder=str(unfinished))
            for stale in self.folder.glob(f"{_slug(contender.files)}-????????????"):
                shutil.rmtree(stale)
            os.replace(unfinished, place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return place

    def reference(self) -> Path:
        """The file of what the original answers."""
        sources = _sources([PACKAGE / "peers" / "answers.py", PACKAGE / "measure" / "cases.py"])
        key = _digest([sources, self.photo_digest, torch.__version__])
        file = self.folder / f"reference-{key[:12]}.npz"
        if not file.exists():
            with replacing(file) as beside, Child("_child.py") as child:
                child.ask(do="reference", job=self.job, photo=str(self.photo), out=str(beside))
        return file

    def features(self, contender: Contender) -> Path:
        """The file of a contender's features of the photo."""
        return self.folder / f"features-{_slug(contender.name)}.npz"


def size_mb(place: Path) -> float:
    """10^6 bytes of a contender's graphs with their weights, or of its checkpoint."""
    graphs = [place] if place.is_file() else [p for p in place.iterdir() if ".onnx" in p.name]
    return sum(path.stat().st_size for path in graphs) / 1e6


def _sources(paths: Iterable[Path]) -> str:
    return _digest([path.read_text(encoding="utf-8") for path in sorted(paths)])


def _digest(of: Any) -> str:
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")
