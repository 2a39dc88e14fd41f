"""Parses the command line, runs a command, and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from sam2lab._version import __version__
from sam2lab.cli import (
    accuracy,
    clips,
    export,
    fetch,
    hub,
    info,
    page,
    peers,
    targets,
    track,
    tracking,
    train,
    train_memory,
    video_bench,
)
from sam2lab.runtime.bundle import BundleError
from sam2lab.runtime.requirements import MissingExtra

# A command is a module with SUMMARY, TEXT, add_arguments(parser) and run(arguments).
COMMANDS: dict[str, Any] = {
    "export": export,
    "fetch": fetch,
    "info": info,
    "targets": targets,
    "hub": hub,
    "page": page,
    "track": track,
    "accuracy": accuracy,
    "tracking": tracking,
    "clips": clips,
    "peers": peers,
    "video-bench": video_bench,
    "train": train,
    "train-memory": train_memory,
}
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
            # As with `| head`. Without this, Python complains when it exits.
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
    for name, command in COMMANDS.items():
        description, _, examples = command.TEXT.format(prog=prog).partition("\nexamples:")
        sub = added.add_parser(
            name,
            help=command.SUMMARY,
            description=description,
            epilog=f"examples:{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run)
    return parser
