"""The table of peers. Everything that compares our export with others reads it.

To add a peer, write a class like `Peer` into a file that imports only the standard library at its
top, and register it.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from sam2lab.peers.catalogue import onnxruntime_exporter, ours, pytorch, sam2_onnx, samexporter
from sam2lab.peers.job import Job

if TYPE_CHECKING:
    from sam2lab.peers.models import Model

CHECKPOINT = "checkpoint"


class Peer(Protocol):
    """One way to run SAM 2: a name, these methods, and attributes as `PeerRow` has them.

    The class takes no arguments, for every process makes its own of it.
    """

    name: str

    def make_files(self, job: Job) -> None:
        """Write its files into `job.folder`, graphs with ".onnx" in their names."""

    def open(self, job: Job) -> Model:
        """Open its files with `job.threads`, as its own classes do."""

    def first_mask(self, job: Job) -> Iterator[Any]:
        """Go from import to the first mask (H, W), with its own classes and its own threads.

        A generator that stops four times: when it has imported what it needs, opened the model,
        encoded each of `job.photos()`, and answered `job.click`; it yields the mask then.
        """


@dataclass(frozen=True)
class PeerRow:
    """One peer in the table: its class `kind`, and the attributes of that class.

    `needs` are modules that must be importable, and `get` says how to get them. The versions of
    `distributions` are recorded; with other ones the files are made anew. `is_exact` is False
    where numbers are rounded on purpose. `files` names the peer whose files it runs, itself if
    empty, or is "checkpoint"; `made_from` names the peer whose files `make_files` converts.
    `can` tells what no single run can show, by capability: "yes" or "no", then ": " and where
    that was read. A capability that it leaves out counts as "no".
    """

    kind: type[Peer]
    name: str
    needs: Sequence[str] = ()
    get: str = ""
    distributions: Sequence[str] = ()
    is_exact: bool = True
    files: str = ""
    made_from: str = ""
    can: Mapping[str, str] = field(default_factory=dict)

    @property
    def maker(self) -> PeerRow | None:
        """The peer that makes its files; None if it runs the checkpoint."""
        return None if self.files == CHECKPOINT else PEERS[self.files or self.name]

    @property
    def missing(self) -> str | None:
        """Why it cannot take part here and what to do about it, or None if it can."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)} not installed; {self.get}" if absent else None

    @property
    def versions(self) -> dict[str, str]:
        """The installed versions of its distributions."""
        found = {}
        for name in self.distributions:
            # A module that was put there by hand has no distribution and no version.
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
        return found


PEERS: dict[str, PeerRow] = {}


def register(kind: type[Peer]) -> None:
    """Add a peer's class to those that `compare` measures.

    >>> register(PEERS["PyTorch"].kind)
    Traceback (most recent call last):
    ValueError: there is a peer 'PyTorch' already; give yours another name
    """
    if kind.name in PEERS:
        raise ValueError(f"there is a peer {kind.name!r} already; give yours another name")
    if kind.__module__ == "__main__" or kind.__qualname__ != kind.__name__:
        raise ValueError(
            f"kind is {kind.__module__}.{kind.__qualname__}; wanted a class at the top of a "
            "module, whose file other processes can read. Move it into one"
        )
    names = [each.name for each in fields(PeerRow)]
    told = {name: getattr(kind, name) for name in names if hasattr(kind, name)}
    PEERS[kind.name] = PeerRow(kind, **told)


for _kind in (
    ours.Ours,
    ours.EightBits,
    samexporter.Samexporter,
    onnxruntime_exporter.OnnxruntimeExporter,
    onnxruntime_exporter.Optimized,
    sam2_onnx.Sam2Onnx,
    pytorch.PyTorch,
    pytorch.Compiled,
    ours.OpenVinoF32,
    ours.OpenVino,
    ours.LiteRt,
    ours.LiteRtEightBits,
):
    register(_kind)

OURS = ours.Ours.name


def chosen(names: Sequence[str] | None = None) -> list[PeerRow]:
    """Return the rows of these names in the table's order, and ours in any case.

    >>> [peer.name for peer in chosen(["PyTorch"])]
    ['sam2lab', 'PyTorch']
    """
    wanted = list(PEERS if names is None else names)
    unknown = [name for name in wanted if name not in PEERS]
    if unknown:
        raise ValueError(f"contenders has {unknown[0]!r}; wanted some of: {', '.join(PEERS)}")
    return [peer for name, peer in PEERS.items() if name in (OURS, *wanted)]
