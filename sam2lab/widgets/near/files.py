"""The files that a browser fetches from the kernel, in parts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import FEATURES, Features
from sam2lab.web.joining import joined
from sam2lab.web.vendored import PROGRAM, VENDORED, vendored

# On a line of 10 Mbit/s an answer waits for a part at most 0.2 s.
PART = 2**18


@dataclass(frozen=True)
class File:
    """Bytes under a name. A browser keeps what has a digest, under that; `packed` means gzip."""

    name: str
    content: bytes
    digest: str | None = None
    packed: bool = False

    def described(self) -> dict[str, Any]:
        """What a browser has to know to fetch it."""
        parts = math.ceil(len(self.content) / PART)
        return {"name": self.name, "parts": parts, "digest": self.digest, "packed": self.packed}

    def part(self, number: int) -> bytes:
        """One of its parts."""
        return self.content[number * PART : (number + 1) * PART]


def of_model(bundle: Bundle) -> list[File]:
    """The scripts, onnxruntime-web, and the decoder of a bundle."""
    decoder = bundle.path("decoder").read_bytes()
    return [*_of_library(), File("decoder", decoder, bundle.graphs["decoder"].sha256)]


def of_photo(features: Features) -> tuple[File, Mapping[str, list[int]]]:
    """Features at half precision, one after the other, and their shapes by name.

    Half of the bytes: 1 MB with nano. On eight photos no mask of a click differed by more than 12
    pixels for it. Packed they would have 0.9 MB and take 0.4 s to pack.
    """
    arrays = {name: getattr(features, name) for name in FEATURES}
    content = b"".join(array.astype("<f2").tobytes() for array in arrays.values())
    return File("features", content), {name: list(each.shape) for name, each in arrays.items()}


@cache
def _of_library() -> tuple[File, ...]:
    return (
        File("page.js", joined("near/answering.js").encode()),
        File("worker.js", joined("near/helper.js").encode()),
        File("wasm", vendored(PROGRAM), VENDORED[PROGRAM], packed=True),
    )
