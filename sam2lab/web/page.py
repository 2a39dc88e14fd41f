"""Writes the page that segments in a browser: a folder for any static server, or one file."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions

from sam2lab import settings
from sam2lab.runtime.bundle import ONNX, Bundle
from sam2lab.runtime.bundle_folder import appearing
from sam2lab.runtime.files import check_place, replacing
from sam2lab.web import html
from sam2lab.web.vendored import LIBRARY, PROGRAM, vendored

PAGE = "index.html"

# The first one is open when the page is. All are CC0 or in the public domain.
PHOTOS = {
    "coffee.jpg": "A cup of coffee, and a spoon",
    "cat.jpg": "A cat",
    "rocket.jpg": "A rocket before its start",
}


@dataclass(frozen=True)
class File:
    """A file that the page loads: the name that its scripts know it by, its place, its bytes."""

    name: str
    place: str
    content: bytes


def write_page(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    single_file: bool = False,
    slow: bool = False,
    link: str | None = None,
) -> Path:
    """Write the page for a bundle's folder, and return the path of its index.html.

    `out` is a folder that is empty or not there yet; with `single_file` it may also be the name
    of a file that ends with .html. `slow` allows models whose encoder takes long in a browser.
    `link` is an address that says more about the model.

    ```python
    write_page("models/nano", "site")
    write_page("models/nano", "segment.html", single_file=True)
    ```
    """
    out = Path(out)
    bundle = Bundle.open(model)
    _check(bundle, slow)
    files = _files(bundle)
    told = _settings(bundle, files, link)
    if single_file:
        target = out if out.suffix == ".html" else out / PAGE
        check_place("out", target.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            carried = {file.name: file.content for file in files}
            beside.write_text(html.in_one_file(told, carried), encoding="utf-8")
        return target
    check_place("out", out)
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"out is {str(out)!r}, which is not empty; choose another folder")
    with appearing(out) as folder:
        for file in files:
            _write(folder / file.place, file.content)
        _write(folder / "vendor" / LIBRARY, vendored(LIBRARY))
        for place, text in html.scripts().items():
            _write(folder / place, text.encode())
        _write(folder / PAGE, html.beside_files(told).encode())
    return out / PAGE


def _check(bundle: Bundle, slow: bool) -> None:
    """Refuse what a browser cannot run, or only in minutes."""
    info = bundle.info
    if bundle.kind != ONNX:
        raise ValueError(
            f"model is {str(bundle.folder)!r}, which holds {bundle.kind} files; the page runs "
            "ONNX files: export the model with --target onnx"
        )
    if info.precision == "fp16":
        raise ValueError(
            "model is of precision fp16, which onnxruntime-web does not compute on a processor; "
            "export it in float"
        )
    if info.size != "nano" and not slow:
        raise ValueError(
            f"model is {info.name!r}, and in a browser the encoder of even the tiny model takes "
            "about 20 s for each photo (WebAssembly, one thread, 1024x1024); use nano, or allow "
            "it with --slow"
        )


def _files(bundle: Bundle) -> list[File]:
    """All that the page loads by itself: the library's program, the graphs and the photos."""
    files = [
        File("wasm", f"vendor/{PROGRAM}", vendored(PROGRAM)),
        File("licence", "vendor/LICENSE.txt", vendored("LICENSE")),
        File("notices", "vendor/ThirdPartyNotices.txt", vendored("ThirdPartyNotices.txt")),
    ]
    for name in ("encoder", "decoder"):
        # The digest in the name: a browser that kept an older model will not take it for this one.
        place = f"files/{name}-{bundle.graphs[name].sha256[:8]}.onnx.gz"
        content = _simplified(bundle) if name == "decoder" else bundle.path(name).read_bytes()
        files.append(File(name, place, gzip.compress(content, 9, mtime=0)))
    photos = settings.data_folder() / "photos"
    return files + [File(name, f"photos/{name}", (photos / name).read_bytes()) for name in PHOTOS]


def _simplified(bundle: Bundle) -> bytes:
    """The decoder as onnxruntime simplifies it at its basic level, so that a browser need not.

    Weights that are stored at half precision are unpacked, which makes 3.7 MB of the page 4.4.
    """
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "decoder.onnx"
        options.optimized_model_filepath = str(path)
        InferenceSession(bundle.path("decoder"), options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def _settings(bundle: Bundle, files: list[File], link: str | None) -> dict[str, Any]:
    """What the scripts must know."""
    info = bundle.info
    height, width = info.input_size
    about = f"The model is {info.name}, which sees a photo at {width} × {height}."
    if info.size == "nano":
        about += " It is a small one, made for classrooms: Meta's models draw finer edges."
    if info.has_random_weights:
        about += " Its weights are random: its masks mean nothing."
    return {
        "model": vars(info),
        "files": {file.name: file.place for file in files},
        "sizes": {
            file.name: len(file.content)
            for file in files
            if file.name in ("wasm", "encoder", "decoder")
        },
        "photos": [{"file": name, "name": name, "title": title} for name, title in PHOTOS.items()],
        "about": about,
        "link": link,
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
