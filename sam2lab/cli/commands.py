"""What the commands do. Torch is met only where a command needs it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from sam2lab import settings
from sam2lab.runtime.bundle import BUNDLE_FILE, Bundle, BundleError
from sam2lab.runtime.engine import SIZES


def export(arguments: Namespace) -> None:
    """Write a bundle and print its folder."""
    from sam2lab.export.onnx import export as write
    from sam2lab.opening import bundle_name
    from sam2lab.reference import zoo

    model = zoo.load(
        arguments.size,
        weights=arguments.weights,
        version=arguments.version,
        input_size=arguments.input_size,
    )
    # nano that was not trained yet has random weights, although "auto" was asked for.
    weights = "random" if model.info.has_random_weights else arguments.weights
    name = bundle_name(
        arguments.size, arguments.precision, weights, arguments.version, arguments.input_size
    )
    folder = arguments.out or settings.models_folder() / name
    print(write(model, folder, precision=arguments.precision).folder)


def fetch(arguments: Namespace) -> None:
    """Make sure that a checkpoint is here and print where."""
    from sam2lab.reference.fetch import checkpoint

    print(checkpoint(arguments.size, arguments.version).fetch())


def info(arguments: Namespace) -> None:
    """Print what a bundle is, or what is here."""
    if arguments.folder is None:
        print("\n".join([*_weights_here(), *_bundles_here()]))
        return
    bundle = Bundle.open(arguments.folder)
    print(bundle.describe())
    print("verified: every byte of its graphs is as it was sealed")


def _weights_here() -> Iterator[str]:
    trained = settings.models_folder() / "nano" / "weights.safetensors"
    yield "weights"
    yield _row("nano", str(trained) if trained.is_file() else "not trained yet")
    try:
        from sam2lab.reference.fetch import checkpoint
    except ModuleNotFoundError as error:
        yield f"  {error.name} is not installed, so no other size can be exported here"
        return
    for size in SIZES[1:]:
        paths = [checkpoint(size, version).path for version in ("2.1", "2.0")]
        here = [str(path) for path in paths if path.is_file()]
        yield _row(size, " and ".join(here) or "not fetched")


def _bundles_here() -> Iterator[str]:
    models = settings.models_folder()
    yield f"bundles in {models}"
    folders = sorted(file.parent for file in models.glob(f"*/{BUNDLE_FILE}"))
    if not folders:
        yield "  none yet: python -m sam2lab export tiny"
    for folder in folders:
        yield _row(folder.name, _summary(folder))


def _summary(folder: Path) -> str:
    try:
        info = Bundle.open(folder, verify=False).info
    except BundleError as error:
        return f"broken: {error}"
    height, width = info.input_size
    weights = ", random weights" if info.has_random_weights else ""
    return f"{info.size} {info.version}, {info.precision}, {height}x{width}{weights}"


def _row(name: str, text: str) -> str:
    return f"  {name:<16} {text}"
