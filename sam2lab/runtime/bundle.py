"""Reads, describes and verifies a bundle: a folder of graphs and their bundle.json."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sam2lab.runtime.digests import sha256_of
from sam2lab.runtime.engines.protocol import ModelInfo
from sam2lab.runtime.files import replacing
from sam2lab.runtime.typed_json import get, to_json
from sam2lab.runtime.video.protocol import VideoSettings

BUNDLE_FILE = "bundle.json"
FORMAT = "sam2lab-bundle"
VERSION = 1
# The kinds of files that graphs come in, see `Bundle.kind`.
ONNX, TFLITE = "onnx", "tflite"
# What each kind is for.
TARGET = {ONNX: "onnx", TFLITE: "litert", "dlc": "qnn", "bin": "qnn"}
# Every bundle has these graphs.
GRAPHS = ("encoder", "decoder")
# Bundles that can follow objects through a video have these too.
MEMORY_GRAPHS = ("memory_attention", "memory_encoder")
# The key of an encoder file's metadata that says how the tokens of each block become a map: JSON
# {block: {"shape": ..., "axes": ..., "map": ...}}, a reshape, a transposition, a reshape.
MAP_STEPS = "token_orders"


class BundleError(ValueError):
    """A folder is not a whole, unchanged bundle; the message names the file and what to do."""


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; a dimension is a size, or a letter where it is free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Graph:
    """One file of a bundle, its seal and what goes in and out."""

    file: str
    sha256: str
    bytes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if self.file in ("", ".", "..") or any(mark in self.file for mark in "/\\:\0"):
            raise ValueError(
                f"file is {self.file!r}, which is not the plain name of a file in the folder"
            )


@dataclass(frozen=True)
class Bundle:
    """An exported model on disk. `opset` is that of the standard ONNX operators; `recipe` says
    how a quantised one was made, in the words of `sam2lab.quantize.recipe.Recipe`. `video` says how
    the model follows objects, and is None where the graphs of the memory are missing. `agreement`
    is how far its masks agree with the model's, which is measured when files for devices are made.

    ```python
    bundle = Bundle.open("models/nano")
    print(bundle.describe())
    ```
    """

    folder: Path
    info: ModelInfo
    opset: int
    graphs: Mapping[str, Graph]
    made_with: Mapping[str, str]
    recipe: Mapping[str, Any] | None = None
    video: VideoSettings | None = None
    agreement: Mapping[str, Any] | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str], verify: bool = True) -> Bundle:
        """Read a bundle and check that it is whole.

        With `verify` every byte of the graphs is compared with its seal, at 1 to 2 GB a second;
        without, only the files' presence and sizes.
        """
        folder = Path(folder)
        sealed = _read_json(folder)
        try:
            graphs = get(dict, sealed, "graphs")
            bundle = cls(
                folder=folder,
                info=get(ModelInfo, sealed, "model"),
                opset=get(int, sealed, "opset"),
                graphs={g: get(Graph, graphs, g) for g in dict.fromkeys([*GRAPHS, *graphs])},
                made_with={k: str(v) for k, v in get(dict, sealed, "made_with").items()},
                recipe=get(dict, sealed, "recipe") if "recipe" in sealed else None,
                video=get(VideoSettings, sealed, "video") if "video" in sealed else None,
                agreement=get(dict, sealed, "agreement") if "agreement" in sealed else None,
            )
            _check_parts(bundle)
        except ValueError as reason:
            raise BundleError(f"{folder / BUNDLE_FILE} is damaged: {reason}. {_REMEDY}") from None
        for graph in bundle.graphs.values():
            _check_file(folder / graph.file, graph)
        if verify:
            bundle.verify()
        return bundle

    def verify(self, graphs: Iterable[str] | None = None) -> None:
        """Compare every byte of some graphs with its seal, by default of all."""
        for name in self.graphs if graphs is None else graphs:
            if sha256_of(self.path(name)) != self.graphs[name].sha256:
                raise BundleError(
                    f"{self.path(name)} was changed after it was sealed: its sha256 is not that "
                    f"of {BUNDLE_FILE}. {_REMEDY}"
                )

    def seal(self) -> None:
        """Write bundle.json, the last file of a bundle: a folder without it is not a bundle."""
        sealed = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.info,
            "opset": self.opset,
            "graphs": dict(self.graphs),
            "made_with": dict(self.made_with),
            "video": self.video,
            "recipe": self.recipe and dict(self.recipe),
            "agreement": self.agreement and dict(self.agreement),
        }
        there = {name: part for name, part in sealed.items() if part is not None}
        with replacing(self.folder / BUNDLE_FILE) as beside:
            beside.write_text(to_json(there) + "\n", encoding="utf-8")

    def path(self, graph: str) -> Path:
        """The file of a graph, such as `"encoder"`."""
        return self.folder / self.graphs[graph].file

    @property
    def target(self) -> str:
        """What its files are for, in the words of `export`: "onnx", "litert" or "qnn"."""
        return TARGET[self.kind]

    @property
    def kind(self) -> str:
        """The format of its graphs, by the ending of their files: `"onnx"`, `"tflite"` …"""
        return self.path("encoder").suffix.removeprefix(".")

    @property
    def key(self) -> str:
        """A digest of the graphs' bytes: equal bundles have equal keys."""
        return hashlib.sha256("".join(g.sha256 for g in self.graphs.values()).encode()).hexdigest()

    def describe(self) -> str:
        """A few lines for people about the model, its graphs and their origin."""
        info = self.info
        height, width = info.input_size
        lines = [
            f"{info.name} ({info.size}, SAM {info.version}), {info.precision}, "
            f"input {height}x{width}, opset {self.opset}",
            f"weights: {weights_in_words(info.weights)}",
            f"video: {_video_in_words(self.video)}",
        ]
        for name, graph in self.graphs.items():
            lines.append(f"{name}: {graph.file}, {graph.bytes / 1e6:.1f} MB")
            lines += [f"  in  {tensor}" for tensor in graph.inputs]
            lines += [f"  out {tensor}" for tensor in graph.outputs]
        if self.recipe is not None:
            lines.append("recipe: " + json.dumps(self.recipe))
        if self.agreement is not None:
            lines.append("agreement: " + json.dumps(self.agreement))
        lines.append("made with " + ", ".join(f"{k} {v}" for k, v in self.made_with.items()))
        return "\n".join(lines)


def weights_in_words(weights: str) -> str:
    """Say where weights came from, and what random ones are good for.

    >>> weights_in_words("random:0")
    'random weights (seed 0): for time and numeric parity only'
    """
    kind, _, mark = weights.partition(":")
    if kind == "random":
        return f"random weights (seed {mark}): for time and numeric parity only"
    origins = {"checkpoint": "a checkpoint", "trained-here": "trained with sam2lab"}
    if kind in origins:
        return f"{origins[kind]} (sha256 {mark})"
    return f"a model that was in memory ({weights})"


def _video_in_words(video: VideoSettings | None) -> str:
    if video is None:
        return "cannot follow objects, because it has no graphs of the memory"
    memories = f"with {video.num_maskmem} memories and {video.max_obj_ptrs_in_encoder} pointers"
    if video.is_trained:
        return f"follows objects {memories}"
    return f"follows objects {memories}, but its memory is not trained: for time and parity only"


_REMEDY = "Copy the whole folder again, or export it anew"


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / BUNDLE_FILE
    try:
        sealed = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = "has no bundle.json" if folder.is_dir() else "is not a folder"
        raise BundleError(
            f"{folder} {what}, so it is no bundle. Export one with: python -m sam2lab export "
            f"tiny --out {folder}"
        ) from None
    except (OSError, ValueError) as reason:
        raise BundleError(f"{path} cannot be read as JSON: {reason}. {_REMEDY}") from None
    if not isinstance(sealed, dict) or sealed.get("format") != FORMAT:
        raise BundleError(f"{path} is not a {FORMAT}. Point at a folder that sam2lab exported")
    if sealed.get("version") != VERSION:
        raise BundleError(
            f"{path} is a bundle of version {sealed.get('version')!r}, and this sam2lab reads "
            f"version {VERSION}. Export it anew with this sam2lab, or use the one that made it"
        )
    return sealed


def _check_parts(bundle: Bundle) -> None:
    """Refuse a part of what following needs, and an `input_size` that is not the graphs' own."""
    has = {"video": bundle.video is not None} | {g: g in bundle.graphs for g in MEMORY_GRAPHS}
    if len(set(has.values())) > 1:
        missing = " and ".join(repr(name) for name, there in has.items() if not there)
        raise ValueError(f"{missing} is missing, without which no object can be followed")
    size = bundle.info.input_size
    # Files for devices have channels last.
    pixels = (3, *size) if bundle.kind == ONNX else (*size, 3)
    wanted = {
        ("encoder", "image"): pixels,
        ("decoder", "mask_input"): (1, *bundle.info.mask_size),
    }
    if bundle.video is not None:
        wanted["memory_encoder", "mask_logits"] = (1, *bundle.info.mask_size)
    for (graph, name), shape in wanted.items():
        found = [tensor.shape[1:] for tensor in bundle.graphs[graph].inputs if tensor.name == name]
        if found != [shape]:
            raise ValueError(
                f"input_size is {size}, so the {graph}'s {name!r} must be "
                f"{('B', *shape)}, but after the batch it is {found[0] if found else 'missing'}"
            )


def _check_file(path: Path, graph: Graph) -> None:
    if not path.is_file():
        raise BundleError(f"{path.parent} lacks {path.name}. {_REMEDY}")
    if path.stat().st_size != graph.bytes:
        raise BundleError(
            f"{path} has {path.stat().st_size} bytes, but was sealed with {graph.bytes}. {_REMEDY}"
        )
