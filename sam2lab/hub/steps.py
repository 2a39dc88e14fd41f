"""`Steps` knows what has to be done at AI Hub, in which order, and starts each step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.hub import comparing
from sam2lab.hub.client import Client
from sam2lab.hub.sources import GRAPHS, Arrays, source_of
from sam2lab.hub.work import Step, Work
from sam2lab.measure.workload import prepare
from sam2lab.quantize.calibration import ImageReader, calibration_images, readable
from sam2lab.runtime import images
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.onnx import OnnxEngine

RUNTIMES = ("tflite", "qnn_dlc", "onnx")
PRECISIONS = ("float", "w8a8", "w8a8-full")
# Photos whose masks are compared; each is 29 MB of features and answers of tiny.
PHOTOS = 3
# Each is 12 MB to upload for tiny's encoder. Its decoder takes two prompts of 17 MB on each of half
# as many.
CALIBRATED_WITH = 12


class Steps:
    """What is done for one folder: what each step needs, and how it is started.

    Files for devices run as they are. Others are compiled there, and with `"w8a8"` their encoder is
    quantised before; the decoder stays float, whose masks in 8 bits are others (mean IoU 0.75 in
    Qualcomm's emulator) and which takes a tenth of the time. `"w8a8-full"` quantises both.
    """

    def __init__(self, work: Work, client: Client) -> None:
        self.work, self.client = work, client
        self.source = source_of(Bundle.open(work.asked.bundle), work.folder / "uploaded")
        if self.source.bundle.key != work.asked.key:
            raise ValueError(
                f"the bundle {work.asked.bundle} was changed since {work.folder} was begun; choose "
                "another folder"
            )

    def needs(self) -> dict[str, tuple[str, ...]]:
        """The steps in their order, with those that must be done before."""
        needs: dict[str, tuple[str, ...]] = {}
        for graph in GRAPHS:
            ready = f"{graph}/model"
            needs[ready] = ()
            if self._is_quantised(graph):
                needs[f"{graph}/calibration"] = ()
                needs[f"{graph}/quantize"] = (ready, f"{graph}/calibration")
                ready = f"{graph}/quantize"
            if not self.source.is_compiled:
                needs[f"{graph}/compile"] = (ready,)
                ready = f"{graph}/compile"
            needs[f"{graph}/photos"] = ("encoder/run",) if graph == "decoder" else ()
            needs[f"{graph}/run"] = (ready, f"{graph}/photos")
        return needs

    def precision(self, graph: str) -> str:
        """What a half computes in on the device."""
        if self.source.is_compiled:
            # Halves of different precisions are named apart.
            return str((self.source.bundle.recipe or {}).get(graph, self.source.info.precision))
        return "w8a8" if self._is_quantised(graph) else "float"

    def _is_quantised(self, graph: str) -> bool:
        """Whether AI Hub is to quantise it."""
        eight = self.work.asked.precision
        return not self.source.is_compiled and (
            eight == "w8a8-full" or (eight == "w8a8" and graph == "encoder")
        )

    def startable(self) -> list[str]:
        """The steps that were not started, and whose needs are done."""
        steps = self.work.steps
        done = {name for name, step in steps.items() if step.is_done}
        return [n for n, needs in self.needs().items() if n not in steps and done.issuperset(needs)]

    def start(self, name: str) -> None:
        """Upload what a step is, or submit its job, and remember its id."""
        graph, kind = name.split("/")
        steps = self.work.steps
        title = f"sam2lab {self.source.info.name} {graph}, {self.precision(graph)}"
        if kind == "model":
            path = str(self.source.file(graph))
            step = Step(self.client.ask("upload_model", path=path, name=title))
        elif kind in ("photos", "calibration"):
            step = self._upload(self._samples(graph, kind), f"{title}, {kind}")
        else:
            needed = [steps[need].made or steps[need].id for need in self.needs()[name]]
            step = Step(self._submit(graph, kind, needed, title), "CREATED")
        self.work.note(name, step)

    def _submit(self, graph: str, kind: str, needed: Sequence[str], title: str) -> str:
        asked = self.work.asked
        if kind == "quantize":
            about = {"model": needed[0], "dataset": needed[1]}
        elif kind == "compile":
            options = f"--target_runtime {asked.runtime}"
            if asked.runtime != "onnx":
                # The indices of gathers are of 64 bits. The decoder is published with both.
                options += " --truncate_64bit_io" if graph == "decoder" else ""
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
        photos = self.photos()
        if kind == "calibration":
            readable_ones = readable(self._readers(CALIBRATED_WITH))
            photos = [photo for _, photo in readable_ones][:: 1 if graph == "encoder" else 2]
        if graph == "encoder":
            return comparing.encoder_samples(self.source, photos)
        if kind == "calibration":
            engine = OnnxEngine(self.source.bundle)
            encoded = [vars(engine.encode(prepare(p, self.source.info))) for p in photos]
        else:
            encoded = self.outputs("encoder")
        return comparing.decoder_samples(self.source, photos, encoded)

    def _upload(self, samples: Iterable[Arrays], title: str) -> Step:
        listed = list(samples)
        stacked: dict[str, Any] = {
            name: np.stack([each[name] for each in listed]) for name in listed[0]
        }
        with tempfile.TemporaryDirectory(dir=self.work.folder, prefix=".") as beside:
            path = Path(beside) / "samples.npz"
            np.savez(path, **stacked)
            return Step(self.client.ask("upload_data", path=str(path), name=title))
