"""`sam2lab info` says what a bundle is, or what is here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from sam2lab import settings
from sam2lab.runtime.bundle import BUNDLE_FILE, ONNX, Bundle, BundleError
from sam2lab.runtime.engines.protocol import SIZES, VERSIONS

SUMMARY = "say what a bundle is, or what is here"
TEXT = """\
With a folder: say what that bundle is, and compare every byte with its seal.
Without: list the weights and the bundles that are here. Takes no torch.

examples:
  {prog} info
  {prog} info models/tiny
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `info`."""
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="the folder of a bundle")


def run(arguments: Namespace) -> None:
    """Print what a bundle is, or what is here."""
    if arguments.folder is not None:
        print(Bundle.open(arguments.folder).describe())
        print("verified: every byte of its graphs is as it was sealed")
        return
    models = settings.models_folder()
    print("weights", *_table(_weights_here()), sep="\n")
    bundles = _table(_bundles_here(models)) or ["  none yet: python -m sam2lab export tiny"]
    print(f"bundles in {models}", *bundles, sep="\n")


def _weights_here() -> Iterator[tuple[str, str]]:
    nano = settings.nano_folder()
    yield "nano", str(nano) if (nano / BUNDLE_FILE).is_file() else "not here"
    try:
        from sam2lab.reference.fetch import checkpoint
    except ModuleNotFoundError as error:
        yield "others", f"cannot be used here, for {error.name} is not installed"
        return
    for size in SIZES[1:]:
        paths = [checkpoint(size, version).path for version in VERSIONS]
        here = [str(path) for path in paths if path.is_file()]
        yield size, " and ".join(here) or "not fetched"


def _bundles_here(models: Path) -> Iterator[tuple[str, str]]:
    for folder in sorted(file.parent for file in models.glob(f"*/{BUNDLE_FILE}")):
        try:
            bundle = Bundle.open(folder, verify=False)
        except BundleError as error:
            yield folder.name, f"broken: {error}"
            continue
        info = bundle.info
        height, width = info.input_size
        kind = "" if bundle.kind == ONNX else f", {bundle.kind} files"
        weights = ", random weights" if info.has_random_weights else ""
        summary = f"{info.size} {info.version}, {info.precision}, {height}x{width}{kind}{weights}"
        yield folder.name, summary


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Lines with the names in a column as wide as the longest.

    >>> _table([("nano", "here"), ("base_plus", "not fetched")])
    ['  nano       here', '  base_plus  not fetched']
    """
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    return [f"  {name:<{width}}  {text}" for name, text in listed]
