"""`sam2lab page` writes a page that segments in the browser of anyone who opens it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from sam2lab.runtime.engines.protocol import SIZES

SUMMARY = "write a page that segments in a browser"
TEXT = """\
Write a page that segments photos in the browser of anyone who opens it: no
account, no server that computes, and no photo leaves the device. It is a
folder that any static server can serve; with --single-file it is one file,
which opens from disk and can be sent by mail.

The model is nano, or the folder of an ONNX bundle. The encoder of even the
tiny model takes about 20 s for each photo in a browser, so larger models are
refused without --slow. Takes no torch.

examples:
  {prog} page --out site
  {prog} page --single-file --out segment.html
  {prog} page models/tiny --slow --out site
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `page`."""
    parser.add_argument(
        "model",
        nargs="?",
        default="nano",
        metavar="MODEL",
        help="nano (the default), or a bundle's folder",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="a folder that is empty or not there yet; with --single-file also a .html file",
    )
    parser.add_argument("--single-file", action="store_true", help="write one file")
    parser.add_argument(
        "--slow", action="store_true", help="allow models whose encoder takes long in a browser"
    )


def run(arguments: Namespace) -> None:
    """Write the page, and print where it is."""
    from sam2lab.opening import kept_folder
    from sam2lab.web import write_page

    model = arguments.model
    folder = kept_folder(model) if model in SIZES else Path(model)
    print(write_page(folder, arguments.out, single_file=arguments.single_file, slow=arguments.slow))
