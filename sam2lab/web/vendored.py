"""The files of onnxruntime-web 1.30.0, each checked against its published digest."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

FOLDER = Path(__file__).with_name("vendor")

LIBRARY = "ort.wasm.bundle.min.js"
PROGRAM = "ort-wasm-simd-threaded.wasm.gz"

# The sha256 of each file as it was published; that of the program is of what is packed in it.
VENDORED = {
    LIBRARY: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    PROGRAM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "LICENSE": "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
    "ThirdPartyNotices.txt": "143764b952fdb1a7c69ce653bfba74a7744d6a8a573bfb73e235fba356c83de3",
}


def vendored(name: str) -> bytes:
    """The bytes of a file in `VENDORED`, unchanged since it was published.

    The program is gzipped, and is handed on so: a browser unpacks it.

    >>> vendored("LICENSE").splitlines()[0]
    b'MIT License'
    """
    path = FOLDER / name
    content = path.read_bytes()
    published = gzip.decompress(content) if path.suffix == ".gz" else content
    if hashlib.sha256(published).hexdigest() != VENDORED[name]:
        raise ValueError(
            f"{path} is not the file that onnxruntime-web published: its sha256 is another. "
            "Install sam2lab again"
        )
    return content
