"""What a chip's encoder is like in each precision: `python -m sam2lab.export.qnn_encoders nano`.

The table says how far masks agree in Qualcomm's emulator where only the encoder is on the chip, and
what compiling it took. The decoder is the float graph on this machine's processor, so that what is
lost is the encoder's.

Half precision loses most in softmax and GELU: of graphs of one operator on normal random numbers,
compiled for the Snapdragon 8 Gen 3 by QAIRT 2.51, the emulator's root mean square error was 0.17 %
of the answer's spread for softmax, 0.08 % for GELU, and 0.03 % for norms, sums and products.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sam2lab.export.device.bundles import described, images_for
from sam2lab.export.device.graphs import device_graphs
from sam2lab.export.qnn import feeds_of
from sam2lab.export.tracing import OPSET
from sam2lab.measure.agreement import agreement
from sam2lab.qnn.chips import chip as chip_of
from sam2lab.qnn.compiling import to_context
from sam2lab.qnn.eight_bits import in_eight_bits
from sam2lab.qnn.engines import ProcessorEngine, QnnEmulator
from sam2lab.quantize.calibration import readable
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import (
    QNN_PRECISIONS,
    SIZES,
    Decoded,
    Engine,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)

CHIP = "Snapdragon 8 Gen 3"
# Of each kind of prompt, one on each: 24 masks.
PHOTOS = 4


@dataclass(frozen=True)
class Halves:
    """An engine that encodes with one engine and decodes with another."""

    encoder: Engine
    decoder: Engine

    @property
    def info(self) -> ModelInfo:
        """The encoder's model."""
        return self.encoder.info

    @property
    def key(self) -> str:
        """Names both."""
        return f"{self.encoder.key}, {self.decoder.key}"

    def encode(self, pixels: Float32) -> Features:
        """What the one engine gives."""
        return self.encoder.encode(pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """What the other engine gives."""
        return self.decoder.decode(features, prompts)


def encoders(
    model: ZooModel,
    chip: str = CHIP,
    precisions: Sequence[str] = QNN_PRECISIONS,
    photos: int = PHOTOS,
) -> pd.DataFrame:
    """Compile a model's encoder for a chip in each precision, and ask the emulator about photos.

    Columns: `precision`; `on_qnn` and `on_cpu`, nodes; `mb`, the file's; `seconds` and `peak_mb` of
    compiling; `masks`, `mean_iou` and `least_iou` with the float graphs on this processor. The
    photos, 20 at most, ship, and others than these calibrate. With `photos=0` it only compiles.
    """
    wanted, (calibrated, checked) = chip_of(chip), images_for(None, photos)
    asked = [photo for _, photo in readable(checked)] if photos else []
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        graphs = dict(device_graphs(model))
        exact = ProcessorEngine.of(model.info, graphs, Path(scratch))
        for precision in precisions:
            graph = graphs["encoder"]
            if precision != "float":
                graph = in_eight_bits(graph, precision, feeds_of(calibrated, model.info))
            file = Path(scratch) / f"{precision}.bin"
            report = to_context(graph, wanted, file, allow_cpu=True)
            row = {
                "precision": precision,
                "on_qnn": report.on_qnn,
                "on_cpu": sum(report.on_cpu.values()),
                "mb": round(report.bytes / 1e6, 1),
                "seconds": report.seconds,
                "peak_mb": report.peak_mb,
            }
            if asked:
                files = {"encoder": file, "decoder": exact.bundle.path("decoder")}
                info = replace(model.info, precision=precision)
                recipe = {"soc": wanted.soc, "arch": wanted.arch}
                made = described(files, graphs)
                with QnnEmulator(Bundle(Path(scratch), info, OPSET, made, {}, recipe)) as emulator:
                    found = agreement(exact, Halves(emulator, exact), asked)
                row |= {
                    "masks": found.masks,
                    "mean_iou": round(found.mean_iou, 4),
                    "least_iou": round(found.least_iou, 4),
                }
            rows.append(row)
    return pd.DataFrame(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="sam2lab.export.qnn_encoders", description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--input-size", type=_size, metavar="HxW")
    parser.add_argument("--chip", default=CHIP)
    parser.add_argument("--precision", nargs="+", choices=QNN_PRECISIONS, default=QNN_PRECISIONS)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="0 only compiles")
    asked = parser.parse_args(argv)
    model = zoo.load(asked.size, asked.weights, input_size=asked.input_size)
    table = encoders(model, asked.chip, asked.precision, asked.photos)
    print(table.to_string(index=False))


def _size(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


if __name__ == "__main__":
    main()
