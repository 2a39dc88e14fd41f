"""What can be typed, and what comes of an error: one line on stderr and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

from sam2lab._version import __version__
from sam2lab.cli import accuracy, commands, peers, train
from sam2lab.runtime.bundle import BundleError
from sam2lab.runtime.engines.protocol import SIZES
from sam2lab.runtime.requirements import MissingExtra

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None, prog: str = "sam2lab") -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 asked wrongly, 130 Ctrl-C.

    >>> main(["info", "no-such-folder"])
    1
    """
    arguments = _parser(prog).parse_args(argv)
    command = f"{prog} {arguments.command}"
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _say(f"{command}: warning: {message}")
        try:
            arguments.run(arguments)
            sys.stdout.flush()
        except KeyboardInterrupt:
            return _fail(command, "interrupted", INTERRUPTED)
        except BrokenPipeError:
            # `| head` has read enough; without this, Python complains when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("sam2lab"):
                raise
            if error.name is not None and not isinstance(error, MissingExtra):
                error = MissingExtra("this command", [error.name.partition(".")[0]])
            return _fail(command, error, FAILED)
        except (BundleError, OSError) as error:
            return _fail(command, error, FAILED)
        except ValueError as error:
            return _fail(command, error, MISUSED)
    return 0


def _fail(command: str, reason: object, code: int) -> int:
    _say(f"{command}: {reason}")
    return code


def _say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line and points at the help, instead of printing the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Turn SAM 2 into ONNX files that need no torch, and say what they are.",
        epilog=textwrap.dedent(f"""\
            examples:
              {prog} info                what is here
              {prog} export tiny         Meta's tiny model as files
              {prog} info models/tiny    what they are, and whether whole

            {prog} COMMAND --help says more about one command."""),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"sam2lab {__version__}",
        help="show the version of sam2lab and exit",
    )
    added = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    _add_export(added, prog)
    _add_fetch(added, prog)
    _add_info(added, prog)
    text = accuracy.TEXT.format(prog=prog)
    accuracy.add(_add(added, "accuracy", accuracy.accuracy, accuracy.SUMMARY, text))
    text = peers.TEXT.format(prog=prog)
    peers.add(_add(added, "peers", peers.peers, peers.SUMMARY, text))
    text = train.TEXT.format(prog=prog)
    train.add(_add(added, "train", train.train, train.SUMMARY, text))
    return parser


def _add_export(added: argparse._SubParsersAction[_Parser], prog: str) -> None:
    parser = _add(
        added,
        "export",
        commands.export,
        "write a model as ONNX files",
        f"""\
        Write a model as a bundle: a folder with encoder.onnx, decoder.onnx and
        bundle.json, which says what they are. ONNX Runtime serves them without torch,
        and tools that load samexporter's files load them. Prints the folder.

        Exporting itself takes torch. An interrupted export leaves nothing behind.

        examples:
          {prog} export tiny
          {prog} export tiny --input-size 720x1280
          {prog} export large --precision fp16
          {prog} export tiny --precision w8a8 --calibration my/photos
          {prog} export small --weights my.pt --out models/mine
          {prog} export base_plus --weights random
        """,
    )
    _add_size(parser, SIZES)
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="WHICH",
        help="'auto' (the default) is Meta's checkpoint, fetched on first use, and for nano the "
        "weights that were trained here; 'random' is the real architecture for time and numeric "
        "parity, whose masks mean nothing; else the path of a fine-tuned model's .pt or "
        ".safetensors file",
    )
    _add_version(parser)
    parser.add_argument(
        "--input-size",
        type=_height_and_width,
        metavar="HxW",
        help="height and width that every photo is resized to, in pixels and multiples of 16; "
        "by default the model's own, 1024x1024, for nano 512x512",
    )
    parser.add_argument(
        "--precision",
        choices=("float", "fp16", "w8a8"),
        default="float",
        help="'float' (the default), 'fp16' for accelerators: half the bytes, while inputs and "
        "outputs stay float32, or 'w8a8' for processors: weights and activations in 8 bits",
    )
    parser.add_argument(
        "--calibration",
        metavar="FOLDER",
        help="for w8a8: photos like those that the model will see, in a folder or in COCO's "
        "format; by default those that ship, and drawn scenes",
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="where to write; by default models/ and a name that says what it is, where "
        "open_segmenter looks too",
    )


def _add_fetch(added: argparse._SubParsersAction[_Parser], prog: str) -> None:
    parser = _add(
        added,
        "fetch",
        commands.fetch,
        "download one of Meta's checkpoints",
        f"""\
        Make sure that one of Meta's checkpoints is here and whole, and print its path.
        A download that was interrupted goes on from where it stopped.

        examples:
          {prog} fetch tiny
          {prog} fetch large --version 2.0
        """,
    )
    _add_size(parser, tuple(size for size in SIZES if size != "nano"))
    _add_version(parser)


def _add_info(added: argparse._SubParsersAction[_Parser], prog: str) -> None:
    parser = _add(
        added,
        "info",
        commands.info,
        "say what a bundle is, or what is here",
        f"""\
        With a folder: say what that bundle is, and compare every byte with its seal.
        Without: list the weights and the bundles that are here. Takes no torch.

        examples:
          {prog} info
          {prog} info models/tiny
        """,
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="the folder of a bundle")


def _add(
    added: argparse._SubParsersAction[_Parser],
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    text: str,
) -> argparse.ArgumentParser:
    description, _, examples = textwrap.dedent(text).partition("\nexamples:")
    parser = added.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_size(parser: argparse.ArgumentParser, sizes: Sequence[str]) -> None:
    parser.add_argument("size", choices=sizes, metavar="SIZE", help=", ".join(sizes))


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version",
        choices=("2.1", "2.0"),
        default="2.1",
        help="of SAM 2: 2.1 (the default) or 2.0",
    )


def _height_and_width(text: str) -> tuple[int, int]:
    """
    >>> _height_and_width("720x1280")
    (720, 1280)
    """
    sides = re.fullmatch(r"(\d+)[x×](\d+)", text.lower())
    if sides is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HEIGHTxWIDTH in pixels, such as 720x1280"
        )
    return int(sides[1]), int(sides[2])
