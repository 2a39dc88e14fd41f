"""The table of peers: what a peer is, and which there are.

To add a peer, write a class with what `Peer` lists into a file that imports only the standard
library at its top, and register an instance.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sam2lab.peers.catalogue import onnxruntime_exporter, ours, pytorch, sam2_onnx, samexporter
from sam2lab.peers.job import Job

if TYPE_CHECKING:
    from sam2lab.peers.models import Model

CHECKPOINT = "checkpoint"


class Peer(Protocol):
    """One way to run SAM 2. Its class takes no arguments: other processes make it anew.

    `name` is what tables call it. `needs` are modules that must be importable, and `get` says how
    to get them. The versions of `distributions` are recorded; with other ones its files are made
    anew. `files` names the peer whose files it runs, mostly itself, or is "checkpoint".
    `made_from` names the peer whose files `make_files` converts. `is_exact` is False where
    numbers are rounded on purpose. `can` tells what no single run can show, by capability: "yes"
    or "no", then ": " and where that was read; what is left out it cannot.
    """

    name: str
    needs: tuple[str, ...]
    get: str
    distributions: tuple[str, ...]
    files: str
    made_from: str | None
    is_exact: bool
    can: ClassVar[dict[str, str]]

    def make_files(self, job: Job) -> None:
        """Write its files into `job.folder`, graphs with ".onnx" in their names."""

    def open(self, job: Job) -> Model:
        """Open its files with `job.threads` as its own class does."""

    def first_mask(self, job: Job) -> Iterator[Any]:
        """Go from import to the first mask (H, W) with its own classes and its own threads.

        A generator that stops four times: when it has imported what it needs, opened the model,
        encoded each of `job.photos()`, and answered `job.click`; it yields the mask then.
        """


PEERS: dict[str, Peer] = {}


def register(peer: Peer) -> None:
    """Add a peer to those that `compare` measures.

    >>> register(PEERS["PyTorch"])
    Traceback (most recent call last):
    ValueError: there is a peer 'PyTorch' already; give yours another name
    """
    if peer.name in PEERS:
        raise ValueError(f"there is a peer {peer.name!r} already; give yours another name")
    kind = type(peer)
    if kind.__module__ == "__main__" or kind.__qualname__ != kind.__name__:
        raise ValueError(
            f"peer is of {kind.__module__}.{kind.__qualname__}; wanted a class at the top of a "
            "module, whose file other processes can read. Move it into one"
        )
    PEERS[peer.name] = peer


for _peer in (
    ours.Ours(),
    ours.EightBits(),
    samexporter.Samexporter(),
    onnxruntime_exporter.OnnxruntimeExporter(),
    onnxruntime_exporter.Optimized(),
    sam2_onnx.Sam2Onnx(),
    pytorch.PyTorch(),
    pytorch.Compiled(),
    ours.OpenVinoF32(),
    ours.OpenVino(),
):
    register(_peer)

OURS = ours.Ours.name


def chosen(names: Sequence[str] | None = None) -> list[Peer]:
    """Return the peers of these names in the table's order, and ours in any case.

    >>> [peer.name for peer in chosen(["PyTorch"])]
    ['sam2lab', 'PyTorch']
    """
    wanted = list(PEERS if names is None else names)
    unknown = [name for name in wanted if name not in PEERS]
    if unknown:
        raise ValueError(f"contenders has {unknown[0]!r}; wanted some of: {', '.join(PEERS)}")
    return [peer for name, peer in PEERS.items() if name in (OURS, *wanted)]


def missing(peer: Peer) -> str | None:
    """Return why a peer cannot take part here and what to do about it, or None if it can."""
    absent = [name for name in peer.needs if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} not installed; {peer.get}" if absent else None


def versions(peer: Peer) -> dict[str, str]:
    """Return the installed versions of a peer's distributions."""
    found = {}
    for name in peer.distributions:
        # A module that was put there by hand has no distribution and no version.
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def file_of(peer: Peer) -> str:
    """Return the file of a peer's class."""
    return inspect.getfile(type(peer))
