"""Choose the images that a model is calibrated with, and feed its graphs with them."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sam2lab import settings
from sam2lab.measure import cases
from sam2lab.quantize.tensor_statistics import Feeds
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.bundle_engine import BundleEngine
from sam2lab.runtime.engines.protocol import Engine, Features, Float32, ModelInfo, PromptBatch

# Reads or draws one image, and only when it is called.
ImageReader = Callable[[], photos.RGB]
ImageSource = str | os.PathLike[str] | Sequence[photos.ImageLike] | None

IMAGE_COUNT = 24

_DRAWN_SIZE = (480, 640)


def calibration_images(
    source: ImageSource = None, count: int = IMAGE_COUNT, argument: str = "images"
) -> list[ImageReader]:
    """Readers of at most `count` images. A reader reads its image when it is called.

    `source` is a folder of photos, with those in folders below it; a folder in COCO's format
    (with an instances.json); or a list of what `images.read` takes. If there are more images than
    `count`, every n-th is taken. None takes the images that need no network: the photos that ship,
    the tiny COCO-format set beside them, and drawn scenes. Errors call the source by `argument`.
    """
    count = whole("count", count, least=1)
    if source is None:
        shipped = (settings.data_folder() / name for name in ("photos", "tiny_coco"))
        listed = [each for folder in shipped if folder.is_dir() for each in _in_folder(folder)]
        chosen = _evenly(listed, count - count // 4)
        return chosen + [functools.partial(_draw, seed) for seed in range(count - len(chosen))]
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(f"{argument} is {str(source)!r}, which is no folder of images")
        listed = _in_folder(folder)
    elif isinstance(source, (bytes, Image.Image)) or getattr(source, "ndim", 4) < 4:
        # An array would be taken for the list of its rows.
        raise ValueError(
            f"{argument} is one image ({type(source).__name__}); wanted a folder of images, or a "
            "list of them: [image]"
        )
    elif not isinstance(source, Iterable):
        raise ValueError(
            f"{argument} is {source!r}; wanted a folder of images, a list of them, or None for "
            "the images that ship"
        )
    else:
        listed = [functools.partial(photos.read, image) for image in source]
    if not listed:
        raise ValueError(f"{argument} is {str(source)!r}, which holds no image; wanted some")
    return _evenly(listed, count)


@dataclass(frozen=True, eq=False)
class CalibrationSample:
    """An image as pixels (1, 3, H, W), its features, and prompts for it.

    There is one prompt of each kind of `measure.cases`; the one that refines a mask has the logits
    of the engine's earlier answer.
    """

    pixels: Float32
    features: Features
    prompts: tuple[PromptBatch, ...]


def samples(readers: Iterable[ImageReader], engine: Engine) -> Iterator[CalibrationSample]:
    """Yield a sample of each image that can be read. Prompts differ from image to image."""
    info = engine.info
    for number, image in readable(readers):
        pixels = _pixels(image, info)
        features = engine.encode(pixels)
        size = (image.shape[0], image.shape[1])
        prompts = []
        for case in cases.draw_cases([image], seed=number):
            earlier = None
            if case.kind == "refine":
                first = prompting.encode(size, info, **case.first_click)
                answer = engine.decode(features, first)
                best = int(np.argmax(answer.scores[0]))
                earlier = answer.logits[:, best : best + 1]
            prompts.append(prompting.encode(size, info, **case.prompt, mask_input=earlier))
        yield CalibrationSample(pixels, features, tuple(prompts))


def encoder_feeds(readers: Iterable[ImageReader], info: ModelInfo) -> Iterator[Feeds]:
    """Feed the encoder each image that can be read."""
    for _, image in readable(readers):
        yield {"image": _pixels(image, info)}


def decoder_feeds(readers: Iterable[ImageReader], engine: BundleEngine) -> Iterator[Feeds]:
    """Feed the decoder each prompt of each image that can be read."""
    for sample in samples(readers, engine):
        for prompt in sample.prompts:
            yield engine.decoder_inputs(sample.features, prompt)


def readable(readers: Iterable[ImageReader]) -> Iterator[tuple[int, photos.RGB]]:
    """Yield the images that can be read, with their numbers; a warning names each of the others."""
    read = 0
    for number, reader in enumerate(readers):
        try:
            image = reader()
        except photos.ImageError as error:
            warnings.warn(f"left out of the calibration: {error}", stacklevel=2)
            continue
        yield number, image
        read += 1
    if read == 0:
        raise ValueError("not one image could be read to calibrate with; give some that can be")


def _in_folder(folder: Path) -> list[ImageReader]:
    if (folder / "instances.json").is_file():
        # Imported here, because a folder of plain photos needs no pycocotools.
        from sam2lab.scenes.coco import CocoFolder

        coco = CocoFolder(folder)
        return [functools.partial(coco.read, image_id) for image_id in coco.images]
    suffixes = Image.registered_extensions()
    return [
        functools.partial(photos.read, path)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes
    ]


def _draw(seed: int) -> photos.RGB:
    from sam2lab.scenes import synthetic

    return synthetic.draw(np.random.default_rng(seed), _DRAWN_SIZE).image


def _evenly(listed: Sequence[ImageReader], count: int) -> list[ImageReader]:
    places = np.linspace(0, len(listed) - 1, min(count, len(listed))).round().astype(int)
    return [listed[place] for place in places]


def _pixels(image: photos.RGB, info: ModelInfo) -> Float32:
    return photos.preprocess(image, info.input_size, info.mean, info.std)[None]
