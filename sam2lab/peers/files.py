"""Make each peer's files, keep them in a folder, and start a peer's process with them."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sam2lab.measure.child import Child
from sam2lab.measure.workload import Workload
from sam2lab.peers.job import Job
from sam2lab.peers.models import SIDE
from sam2lab.peers.table import OURS, PEERS, PeerRow
from sam2lab.peers.worker import work
from sam2lab.reference import zoo
from sam2lab.runtime.files import replacing

PACKAGE = Path(__file__).parents[1]
# The code in these packages decides about the content of our own files.
SOURCES = ("export", "graphs", "quantize", "reference", "runtime", "scenes")


class Files:
    """Weights, a photo, and the files that each peer made of the weights.

    Files are made once, and again after a change of a version, of the weights or of the code that
    makes them.
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
        self.model: dict[str, Any] = {
            "size": size,
            "version": version,
            "config": str(zoo.config_file(size, version)),
            "side": SIDE,
        }
        self.checkpoint = checkpoint
        # Read once, so that a long run goes on with the files that it began with.
        self._sources = _sources(p for part in SOURCES for p in (PACKAGE / part).rglob("*.py"))
        self.photo_digest = hashlib.sha256(photo.tobytes()).hexdigest()[:8]
        self.photo = self.folder / f"photo-{self.photo_digest}.npy"
        (self.click,) = Workload.about(photo).prompt["point_coordinates"].tolist()
        with replacing(self.photo) as beside, beside.open("wb") as file:
            np.save(file, photo)

    def start(self, peer: PeerRow, folder: Path, **further: Any) -> Child:
        """Start a peer's process with its job: the files are in `folder`, or go there."""
        child = Child(work, peer.kind, Job)
        child.tell(
            **self.model,
            checkpoint=str(self.checkpoint),
            folder=str(folder),
            photo=str(self.photo),
            click=self.click,
            **further,
        )
        return child

    def place(self, peer: PeerRow) -> Path:
        """Return where a peer's files lie, or will."""
        maker = peer.maker
        if maker is None:
            return self.checkpoint
        code = _sources([Path(inspect.getfile(maker.kind)), PACKAGE / "peers" / "job.py"])
        made_of = [maker.name, maker.versions, self.model, code]
        if OURS in (maker.name, maker.made_from):
            made_of.append(self._sources)
        return self.folder / f"{_slug(maker.name)}-{_digest(made_of)[:12]}"

    def make(self, peer: PeerRow) -> Path:
        """Make a peer's files where they are not there yet; `ChildError` where it fails."""
        place, maker = self.place(peer), peer.maker
        if maker is None or place.exists():
            return place
        source = self.make(PEERS[maker.made_from]) if maker.made_from else ""
        unfinished = self.folder / f".{place.name}.{secrets.token_hex(4)}"
        unfinished.mkdir()
        try:
            with self.start(maker, unfinished, source=str(source)) as child:
                child.ask(do="make")
            for stale in self.folder.glob(f"{_slug(maker.name)}-{'?' * 12}"):
                shutil.rmtree(stale)
            os.replace(unfinished, place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return place

    def reference(self) -> Path:
        """Return the file of what the original answers."""
        code = ("peers/agreement.py", "measure/cases.py", "measure/workload.py")
        sources = _sources(PACKAGE / name for name in code)
        key = _digest([sources, self.photo_digest, torch.__version__])
        file = self.folder / f"reference-{key[:12]}.npz"
        if not file.exists():
            original = self.start(PEERS["PyTorch"], self.checkpoint)
            with original as child, replacing(file) as beside:
                child.ask(do="reference", out=str(beside))
        return file

    def features(self, peer: PeerRow) -> Path:
        """Return the file of a peer's features of the photo."""
        return self.folder / f"features-{_slug(peer.name)}.npz"


def size_mb(place: Path) -> float:
    """Return the 10^6 bytes of a peer's graphs with their weights, or of its checkpoint."""
    graphs = [place] if place.is_file() else [p for p in place.iterdir() if ".onnx" in p.name]
    return sum(path.stat().st_size for path in graphs) / 1e6


def _sources(paths: Iterable[Path]) -> str:
    return _digest([path.read_text(encoding="utf-8") for path in sorted(paths)])


def _digest(of: Any) -> str:
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")
