"""`Steps` knows what has to be done at AI Hub, in which order, and starts each step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.hub import comparing
from sam2lab.hub.client import Client
from sam2lab.hub.sources import Arrays, Source
from sam2lab.hub.work import Step, Work
from sam2lab.quantize.calibration import ImageReader, calibration_images, encoder_feeds
from sam2lab.runtime import images
from sam2lab.runtime.bundle import Bundle

RUNTIMES = ("tflite", "qnn_dlc", "onnx")
PRECISIONS = ("float", "w8a8")
# Photos whose masks are compared; each is 29 MB of features and answers of tiny.
PHOTOS = 3
# Each is 12 MB to upload for tiny.
CALIBRATED_WITH = 12


class Steps:
    """What is done for one folder: what each step needs, and how it is started.

    The encoder is quantised where w8a8 was asked for. The decoder stays float: its masks in 8 bits
    are others (mean IoU 0.75 in Qualcomm's emulator), and it takes a tenth of the time.
    """

    def __init__(self, work: Work, client: Client) -> None:
        self.work, self.client = work, client
        self.source = Source(Bundle.open(work.asked.bundle), work.folder / "uploaded")
        if self.source.bundle.key != work.asked.key:
            raise ValueError(
                f"the bundle {work.asked.bundle} was changed since {work.folder} was begun; choose "
                "another folder"
            )

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The steps in their order, with those that must be done before."""
        quantised = {
            "encoder/calibration": (),
            "encoder/quantize": ("encoder/model", "encoder/calibration"),
        }
        eight = self.work.asked.precision == "w8a8"
        return {
            "encoder/model": (),
            **(quantised if eight else {}),
            "encoder/compile": ("encoder/quantize" if eight else "encoder/model",),
            "encoder/photos": (),
            "encoder/run": ("encoder/compile", "encoder/photos"),
            "decoder/model": (),
            "decoder/compile": ("decoder/model",),
            "decoder/photos": ("encoder/run",),
            "decoder/run": ("decoder/compile", "decoder/photos"),
        }

    def startable(self) -> list[str]:
        """The steps that were not started, and whose needs are done."""
        steps = self.work.steps
        done = {name for name, step in steps.items() if step.is_done}
        return [n for n, needs in self.needs().items() if n not in steps and done.issuperset(needs)]

    def start(self, name: str) -> None:
        """Upload what a step is, or submit its job, and remember its id."""
        graph, kind = name.split("/")
        asked, steps = self.work.asked, self.work.steps
        title = f"sam2lab {self.source.info.name} {graph}, {asked.precision}"
        if kind == "model":
            path = str(self.source.file(graph))
            step = Step(self.client.ask("upload_model", path=path, name=title))
        elif kind in ("photos", "calibration"):
            step = self._upload(self._samples(graph, kind), f"{title}, {kind}")
        else:
            needed = [steps[need].made or steps[need].id for need in self.needs()[name]]
            step = Step(self._submit(kind, needed, title), "CREATED")
        self.work.note(name, step)

    def _submit(self, kind: str, needed: Sequence[str], title: str) -> str:
        asked = self.work.asked
        if kind == "quantize":
            about = {"model": needed[0], "dataset": needed[1]}
        elif kind == "compile":
            options = f"--target_runtime {asked.runtime}"
            if asked.runtime != "onnx":
                # The indices of gathers are of 64 bits.
                options += " --truncate_64bit_tensors"
            about = {"model": needed[0], "device": asked.device, "options": options}
        else:
            about = {"model": needed[0], "dataset": needed[1], "device": asked.device}
        return str(self.client.ask(kind, name=title, **about))

    def refresh(self, name: str) -> None:
        """Ask for the state of a job, and remember it where it changed."""
        step = self.work.steps[name]
        now = self.client.ask("state", job=step.id)
        if now["state"] != step.state or not step.url:
            self.work.note(
                name,
                state=now["state"],
                made=now["model"],
                url=now["url"],
                reason=now["message"],
            )

    def outputs(self, graph: str) -> list[Arrays]:
        """What the device computed, one dictionary a sample; downloaded when it is first needed."""
        path = self.work.folder / f"{graph}_outputs.npz"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=self.work.folder, prefix=".") as beside:
                loaded = Path(beside) / path.name
                job = self.work.steps[f"{graph}/run"].id
                self.client.ask("download_outputs", job=job, path=str(loaded))
                loaded.replace(path)
        with np.load(path) as stored:
            return self.source.by_name(graph, {name: stored[name] for name in stored.files})

    def photos(self) -> list[images.RGB]:
        """The photos whose masks are compared."""
        return [read() for read in self._readers(PHOTOS)]

    def _readers(self, count: int) -> list[ImageReader]:
        return calibration_images(list(self.work.asked.photos), count, "photos")

    def _samples(self, graph: str, kind: str) -> Iterable[Arrays]:
        if kind == "calibration":
            readers = self._readers(CALIBRATED_WITH)
            return (
                self.source.encoder_inputs(feed["image"])
                for feed in encoder_feeds(readers, self.source.info)
            )
        if graph == "encoder":
            return comparing.encoder_samples(self.source, self.photos())
        return comparing.decoder_samples(self.source, self.photos(), self.outputs("encoder"))

    def _upload(self, samples: Iterable[Arrays], title: str) -> Step:
        listed = list(samples)
        stacked: dict[str, Any] = {
            name: np.stack([each[name] for each in listed]) for name in listed[0]
        }
        with tempfile.TemporaryDirectory(dir=self.work.folder, prefix=".") as beside:
            path = Path(beside) / "samples.npz"
            np.savez(path, **stacked)
            return Step(self.client.ask("upload_data", path=str(path), name=title))
