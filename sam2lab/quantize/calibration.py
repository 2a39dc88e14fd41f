"""What a model is calibrated with: pictures, prompts that differ from picture to picture, and
what passes through a graph while it answers them."""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from PIL import Image

from sam2lab import settings
from sam2lab.measure import cases
from sam2lab.quantize.calibration_ranges import Spread
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, ModelInfo, PromptBatch

Feeds = dict[str, np.ndarray[Any, Any]]
# Reads or draws a picture, when it is its turn.
Picture = Callable[[], Any]
Source = str | os.PathLike[str] | Sequence[Any] | None

PICTURES = 24
# Of each tensor and picture so many values go into the histogram; the extremes are exact.
SAMPLES = 65536

_DRAWN_SIZE = (480, 640)


def pictures(source: Source = None, count: int = PICTURES) -> list[Picture]:
    """At most `count` pictures, none of which is read yet.

    `source` is a folder of photos (those in folders below it too), one in COCO's format (with
    an instances.json), or a list of what `images.read` takes. Of many pictures every n-th is
    taken. Without a source it is what needs no network: the photos that ship, the tiny
    COCO-format set beside them, and scenes that are drawn.
    """
    count = whole("count", count, least=1)
    if source is None:
        here = [folder for folder in _shipped() if folder.is_dir()]
        listed = [each for folder in here for each in _in_folder(folder)]
        chosen = _evenly(listed, count - count // 4)
        return chosen + [functools.partial(_draw, seed) for seed in range(count - len(chosen))]
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(f"calibration is {str(source)!r}, which is no folder of pictures")
        listed = _in_folder(folder)
    elif _is_single(source):
        # An array would be taken for the list of its rows.
        raise ValueError(
            f"calibration is one picture ({type(source).__name__}); wanted a folder of photos, or "
            "a list of them: [picture]"
        )
    elif not isinstance(source, Iterable):
        raise ValueError(
            f"calibration is {source!r}; wanted a folder of photos, a list of them, or None for "
            "what needs no network"
        )
    else:
        listed = [functools.partial(photos.read, image) for image in source]
    if not listed:
        raise ValueError(f"calibration is {str(source)!r}, which holds no picture; wanted some")
    return _evenly(listed, count)


def encoder_feeds(chosen: Iterable[Picture], info: ModelInfo) -> Iterator[Feeds]:
    """What the encoder is given for each picture that can be read; of others it is warned."""
    for _, image in _readable(chosen):
        yield {"image": photos.preprocess(image, info.input_size, info.mean, info.std)[None]}


def decoder_feeds(chosen: Iterable[Picture], engine: OnnxEngine) -> Iterator[Feeds]:
    """What the decoder is given: the questions of each picture."""
    for question in questions(chosen, engine):
        for asked in question.prompts:
            yield _decoder_feed(question.features, asked, engine.info)


@dataclass(frozen=True, eq=False)
class Question:
    """A picture as pixels (1, 3, H, W), what the engine made of it, and prompts of its own.

    There is a prompt of every kind of `measure.cases`; the one that refines has the logits of the
    engine's earlier answer.
    """

    pixels: Float32
    features: Features
    prompts: tuple[PromptBatch, ...]


def questions(chosen: Iterable[Picture], engine: Engine) -> Iterator[Question]:
    """What can be asked about each picture that can be read, different for each of them."""
    info = engine.info
    for number, image in _readable(chosen):
        pixels = photos.preprocess(image, info.input_size, info.mean, info.std)[None]
        features = engine.encode(pixels)
        size = (image.shape[0], image.shape[1])
        asked = []
        for case in cases.draw_cases([image], seed=number):
            earlier = None
            if case.kind == "refine":
                first = prompting.encode(size, info, **case.first_click)
                answer = engine.decode(features, first)
                best = int(np.argmax(answer.scores[0]))
                earlier = answer.logits[:, best : best + 1]
            asked.append(prompting.encode(size, info, **case.prompt, mask_input=earlier))
        yield Question(pixels, features, tuple(asked))


def observe(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, Spread]:
    """The values that tensors of a graph take, as extremes and histograms.

    The graph itself finds the extremes and takes the samples, so that no tensor outlives its
    use and memory does not grow: nothing is kept but a `Spread` each.
    """
    spreads = {name: Spread() for name in tensors}
    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    sizes = _sizes(model)
    for name in tensors:
        _sample(watching.graph, name, sizes.get(name, 1))
    session = _session(watching)
    fetched = [f"{name}:{what}" for name in tensors for what in ("low", "high", "sample")]
    for feed in feeds:
        values = session.run(fetched, feed)
        for place, name in enumerate(tensors):
            low, high, sample = values[3 * place : 3 * place + 3]
            spreads[name].add(sample, (float(low), float(high)))
    return spreads


def channel_peaks(
    model: onnx.ModelProto, tensors: Sequence[str], feeds: Iterable[Feeds]
) -> dict[str, Float32]:
    """The largest magnitude in each channel, the last dimension, of tensors of a graph."""
    watching = onnx.ModelProto()
    watching.CopyFrom(model)
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim) for value in watching.graph.value_info
    }
    for name in tensors:
        axes = _constant(watching.graph, f"{name}:axes", list(range(ranks[name] - 1)))
        watching.graph.node.extend(
            [
                helper.make_node("Abs", [name], [f"{name}:abs"]),
                helper.make_node("ReduceMax", [f"{name}:abs", axes], [f"{name}:peak"], keepdims=0),
            ]
        )
        watching.graph.output.append(onnx.ValueInfoProto(name=f"{name}:peak"))
    session = _session(watching)
    peaks: dict[str, Float32] = {}
    for feed in feeds:
        found = session.run([f"{name}:peak" for name in tensors], feed)
        for name, peak in zip(tensors, found, strict=True):
            peaks[name] = np.maximum(peaks.get(name, 0), peak)
    return peaks


def _shipped() -> tuple[Path, Path]:
    return settings.data_folder() / "photos", settings.data_folder() / "tiny_coco"


def _in_folder(folder: Path) -> list[Picture]:
    if (folder / "instances.json").is_file():
        # Here and not above: a folder of plain photos needs no pycocotools.
        from sam2lab.scenes.coco import CocoFolder

        coco = CocoFolder(folder)
        return [functools.partial(coco.read, image_id) for image_id in coco.images]
    suffixes = Image.registered_extensions()
    return [
        functools.partial(photos.read, path)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
    ]


def _draw(seed: int) -> Any:
    from sam2lab.scenes import synthetic

    return synthetic.draw(np.random.default_rng(seed), _DRAWN_SIZE).image


def _is_single(source: Any) -> bool:
    return isinstance(source, (bytes, Image.Image)) or getattr(source, "ndim", 4) < 4


def _evenly(listed: Sequence[Picture], count: int) -> list[Picture]:
    places = np.linspace(0, len(listed) - 1, min(count, len(listed))).round().astype(int)
    return [listed[place] for place in places]


def _readable(chosen: Iterable[Picture]) -> Iterator[tuple[int, Any]]:
    read = 0
    for number, picture in enumerate(chosen):
        try:
            image = picture()
        except photos.ImageError as error:
            warnings.warn(f"left out of the calibration: {error}", stacklevel=2)
            continue
        yield number, image
        read += 1
    if read == 0:
        raise ValueError("calibration: not one picture could be read; give some that can be")


def _decoder_feed(features: Features, asked: PromptBatch, info: ModelInfo) -> Feeds:
    mask = asked.mask_input
    return {
        "image_embed": features.image_embed,
        "high_res_feats_0": features.high_res_feats_0,
        "high_res_feats_1": features.high_res_feats_1,
        "point_coords": asked.point_coords,
        "point_labels": asked.point_labels,
        "mask_input": np.zeros((1, 1, *info.mask_size), np.float32) if mask is None else mask,
        "has_mask_input": np.array([mask is not None], np.float32),
    }


def _sizes(model: onnx.ModelProto) -> dict[str, int]:
    """How many values each tensor has for one image, one object and one point."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in single.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            dim.dim_value = dim.dim_value or 1
    del single.graph.value_info[:]
    single = onnx.shape_inference.infer_shapes(single, data_prop=True)
    values = (*single.graph.value_info, *single.graph.input, *single.graph.output)
    return {
        value.name: math.prod(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
        for value in values
    }


def _sample(graph: onnx.GraphProto, name: str, size: int) -> None:
    step = max(1, -(-size // SAMPLES))
    # A step that shared a factor with the number of channels would miss some of them.
    while math.gcd(step, 2 * 3 * 7) > 1:
        step += 1
    flat, ends, steps = (
        _constant(graph, f"{name}:{what}", [value])
        for what, value in (("shape", -1), ("end", 2**62), ("step", step))
    )
    start = _constant(graph, f"{name}:start", [0])
    graph.node.extend(
        [
            helper.make_node("ReduceMin", [name], [f"{name}:low"], keepdims=0),
            helper.make_node("ReduceMax", [name], [f"{name}:high"], keepdims=0),
            helper.make_node("Reshape", [name, flat], [f"{name}:flat"]),
            helper.make_node(
                "Slice", [f"{name}:flat", start, ends, start, steps], [f"{name}:sample"]
            ),
        ]
    )
    graph.output.extend(
        onnx.ValueInfoProto(name=f"{name}:{what}") for what in ("low", "high", "sample")
    )


def _constant(graph: onnx.GraphProto, name: str, values: list[int]) -> str:
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    return name


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
