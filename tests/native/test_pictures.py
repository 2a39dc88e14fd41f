"""The program reads pictures as sam2lab does, bit for bit, or refuses them; damage never harms it.

Everything runs under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from sam2lab.runtime import images
from sam2lab.runtime.engines.protocol import IMAGENET_MEAN, IMAGENET_STD
from tests.conftest import REPOSITORY
from tests.native import pictures
from tests.native.conftest import NANO
from tests.native.pictures import PNG_MARK, chunk, png
from tests.native.program import PATIENCE_S, Program

# Of the encoder's input: not square, and small, because the checks make all slow.
SIZE = (80, 112)
CAT = REPOSITORY / "data" / "photos" / "cat.jpg"
Shown = Callable[[Iterable[tuple[str, bytes]]], list[tuple[str, Path, str]]]


@pytest.fixture
def shown(checked_program: Program, tmp_path: Path) -> Shown:
    """Let one process read many files: the name, the file and the process's word on each."""

    model = tmp_path / "model"
    model.mkdir()
    sealed = json.loads((NANO / "bundle.json").read_text())
    sealed["model"]["input_size"] = SIZE
    for graph, shape in (("encoder", SIZE), ("decoder", [side // 4 for side in SIZE])):
        for given in sealed["graphs"][graph]["inputs"]:
            if given["name"] in ("image", "mask_input"):
                given["shape"][2:] = shape
        (model / f"{graph}.onnx").symlink_to(NANO / f"{graph}.onnx")
    (model / "bundle.json").write_text(json.dumps(sealed))

    def run(files: Iterable[tuple[str, bytes]]) -> list[tuple[str, Path, str]]:
        named = [(name, tmp_path / str(i), file) for i, (name, file) in enumerate(files)]
        for _, place, file in named:
            place.write_bytes(file)
        done = subprocess.run(
            [
                checked_program.path.with_name("show-pixels"),
                model,
                *(place for _, place, _ in named),
            ],
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE_S,
        )
        assert (done.returncode, done.stderr) == (0, "")
        words = done.stdout.splitlines()
        return [(name, place, word) for (name, place, _), word in zip(named, words, strict=True)]

    return run


def pixels_of(place: Path) -> tuple[np.ndarray, np.ndarray]:
    """The picture, and the encoder's input, that the process made of a file."""
    content = place.with_name(f"{place.name}.pixels").read_bytes()
    width, height, is_float = np.frombuffer(content[:12], np.int32)
    kind = np.float32 if is_float else np.uint8
    count = 3 * width * height
    picture = np.frombuffer(content, kind, count, offset=12).reshape(height, width, 3)
    rest = np.frombuffer(content, np.float32, offset=12 + picture.nbytes)
    return picture, rest.reshape(3, *SIZE)


def sam2labs(place: Path) -> np.ndarray | None:
    """What sam2lab reads, or None where it refuses."""
    try:
        return images.read(place)
    except images.ImageError:
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kinds", [pictures.jpegs, pictures.pngs])
def test_every_kind_of_file_becomes_the_pixels_of_sam2lab(shown: Shown, kinds: Callable) -> None:
    """Bit for bit: numpy's products round as the program's do, on processors that can fuse them."""
    for name, place, word in shown(kinds()):
        wanted = sam2labs(place)
        if wanted is None:
            assert word.startswith("4 photo: "), name
            continue
        picture, prepared = pixels_of(place)
        np.testing.assert_array_equal(picture, wanted, name)
        assert picture.dtype == wanted.dtype, name
        expected = images.preprocess(wanted, SIZE, IMAGENET_MEAN, IMAGENET_STD)
        # Without fused products numpy rounds once more; values are up to 2.7.
        np.testing.assert_allclose(prepared, expected, rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_as_by_sam2lab_or_refused(shown: Shown) -> None:
    kinds = [*pictures.jpegs(), *pictures.pngs()]
    whole = [file for _, file in kinds if len(file) < 4000]
    words = []
    for _, place, word in shown(("", file) for file in pictures.damaged(whole, 250)):
        words.append(word[:9])
        wanted = sam2labs(place)
        # Pillow looks at parts of a PNG that no pixel depends on, the program at each checksum.
        if word == "ok" and wanted is not None:
            np.testing.assert_array_equal(pixels_of(place)[0], wanted)
    assert set(words) == {"ok", "4 photo: "}


BOMB = chunk(b"IHDR", struct.pack(">IIBBBBB", 32768, 32768, 8, 0, 0, 0, 0)) + chunk(b"IDAT", b"")
REFUSED = {
    "nothing": (b"", "neither a JPEG nor a PNG"),
    "GIF": (b"GIF89a", "neither a JPEG nor a PNG file.*save the picture anew as JPEG or PNG"),
    "a cut JPEG": (CAT.read_bytes()[:20000], "cannot be read .Premature end"),
    "a cut PNG": (png(np.zeros((3, 4, 1), np.uint8), "L", 8)[:45], "it is cut short"),
    "a bomb": (PNG_MARK + BOMB, "its 32768 x 32768 pixels are more than 89478485"),
}


def test_the_message_says_why(shown: Shown) -> None:
    said = shown((name, file) for name, (file, _) in REFUSED.items())
    for name, place, word in said:
        assert re.match(rf"4 photo: {place} .*{REFUSED[name][1]}", word), word
