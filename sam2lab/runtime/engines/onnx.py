"""`OnnxEngine` runs a bundle with onnxruntime."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnxruntime as ort

from sam2lab.runtime import cores
from sam2lab.runtime.bundle import GRAPHS, Bundle
from sam2lab.runtime.engines.bundle_engine import BundleEngine, Inputs, check_threads
from sam2lab.runtime.engines.protocol import Float32

CPU = "CPUExecutionProvider"
PREFERRED = ("CUDAExecutionProvider", "DmlExecutionProvider", CPU)


class ProviderWarning(UserWarning):
    """An execution provider that was asked for runs nothing."""


@dataclass(frozen=True)
class ProviderReport:
    """Which execution providers were asked for, which the library has, and what runs where.

    `nodes` counts the nodes of the encoder and the decoder by provider.
    """

    asked: tuple[str, ...]
    available: tuple[str, ...]
    nodes: Mapping[str, Mapping[str, int]]

    @property
    def idle(self) -> tuple[str, ...]:
        """Providers that were asked for and took nothing."""
        return tuple(p for p in self.asked if not any(p in taken for taken in self.nodes.values()))

    @property
    def main(self) -> str:
        """The provider that took most of the encoder."""
        taken = self.nodes["encoder"]
        return max(taken, key=lambda provider: taken[provider])

    def __str__(self) -> str:
        lines = [f"asked: {', '.join(self.asked)}", f"available: {', '.join(self.available)}"]
        for graph, taken in self.nodes.items():
            shares = ", ".join(f"{count} of its nodes on {name}" for name, count in taken.items())
            lines.append(f"{graph}: {shares}")
        if set(self.asked) - {CPU} and CPU in self.nodes["encoder"]:
            lines.append(f"fell back to {CPU}: {self.nodes['encoder'][CPU]} nodes of the encoder")
        return "\n".join(lines)


class OnnxEngine(BundleEngine):
    """Run the graphs of a bundle, for photos and videos, on the CPU or what onnxruntime offers.

    `providers` are onnxruntime's execution providers, most wanted first; the CPU runs what they
    leave. Without `providers`, CUDA or DirectML is used if it is there, or else the CPU; see
    `report`. `threads` are those of one operator on the CPU, by default all cores of the process.

    onnxruntime's memory plan is switched off. Without it an encode of tiny is as fast and its peak
    of memory a third lower, and opening tiny's encoder takes half the time.

    Every other option is onnxruntime's default; on two cores, with tiny and nano, nothing measured
    better. Threads that do not spin while they wait make a decode take 1.1 to 1.3 times as long on
    an idle machine and 0.7 times as long on a busy one, where `threads=1` helps as much. Without
    the memory arena an encode takes 1.1 to 1.2 times as long and its peak is higher. Optimisation
    levels change nothing beyond noise. A kept copy of the optimised graph would save a few
    hundredths of a second of opening, which is not worth a second copy of the weights.

    One engine may be used from several threads at once.

    ```python
    engine = OnnxEngine("models/nano")
    print(engine.report)
    ```
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        providers: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(bundle, threads)
        asked = providers_for(providers)
        self._providers = [*dict.fromkeys([*asked, CPU])]
        self._options = self._session_options(threads)
        self.open_graphs(GRAPHS)
        nodes = {graph: _placement(session) for graph, session in self._opened.items()}
        self.report = ProviderReport(asked, tuple(ort.get_available_providers()), nodes)
        if providers is not None and set(self.report.idle) - {CPU}:
            warnings.warn(
                f"providers: {', '.join(self.report.idle)} runs no part of this model or could "
                f"not be started (is its driver installed?), so it runs on {self.report.main}",
                ProviderWarning,
                stacklevel=2,
            )

    @property
    def key(self) -> str:
        """The graphs' bytes and the provider that runs them."""
        return f"onnx:{self.report.main}:{self.bundle.key}"

    def _session_options(self, threads: int | None) -> ort.SessionOptions:
        options = without_overflow(ort.SessionOptions())
        options.enable_mem_reuse = options.enable_mem_pattern = False
        # 0 leaves it to onnxruntime.
        options.intra_op_num_threads = threads or _fewer_cores()
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options

    def _open(self, graph: str) -> ort.InferenceSession:
        path = str(self.bundle.path(graph))
        return ort.InferenceSession(path, self._options, providers=self._providers)

    def _compute(
        self, opened: ort.InferenceSession, outputs: Sequence[str], inputs: Inputs
    ) -> list[Float32]:
        arrays: list[Float32] = opened.run(outputs, inputs)
        return arrays


def check_options(providers: Sequence[str] | None = None, threads: int | None = None) -> None:
    """Refuse options that `open_engine` would refuse for any bundle."""
    providers_for(providers)
    check_threads(threads)


open_engine = OnnxEngine


def providers_for(providers: Sequence[str] | None) -> tuple[str, ...]:
    """The execution providers to ask onnxruntime for; a `ValueError` where it lacks one.

    >>> providers_for(["CPUExecutionProvider"])
    ('CPUExecutionProvider',)
    """
    available = tuple(ort.get_available_providers())
    if providers is None:
        return next((name,) for name in PREFERRED if name in available)
    if isinstance(providers, str) or not isinstance(providers, Sequence) or not providers:
        raise ValueError(
            f"providers is {providers!r}; wanted a list of names, such as [{CPU!r}], or None"
        )
    missing = [name for name in providers if name not in available]
    if missing:
        raise ValueError(
            f"providers: {', '.join(map(repr, missing))} is not in this onnxruntime, which has "
            f"{', '.join(available)}. Install the build of onnxruntime that has it, or leave "
            "providers out"
        )
    return tuple(providers)


def without_overflow(options: ort.SessionOptions) -> ort.SessionOptions:
    """Let products of 8 bits be right on every processor; changes nothing about float graphs.

    x86 processors without VNNI add two such products in 16 bits, where the sum may overflow, and
    onnxruntime lets it. With this, it multiplies there in a way that cannot: nano's masks in 8 bits
    have a mean IoU of 0.989 with the float ones then, in place of 0.962, and an encode takes 1.08
    of the time. Others compute as before.
    """
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def without_spinning(options: ort.SessionOptions) -> ort.SessionOptions:
    """Let threads sleep between operators: for sessions that take turns, or have many short ones.

    Threads that spin take the time of others meanwhile.
    """
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _fewer_cores() -> int:
    """The cores that this process may use, or 0 where it may use all of the machine's.

    onnxruntime starts a thread for each core of the machine, and two threads that share a core
    take 1.5 times as long as one.
    """
    usable = cores.usable()
    return 0 if usable == os.cpu_count() else usable


def _placement(session: ort.InferenceSession) -> dict[str, int]:
    """How many nodes each provider took."""
    taken: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        taken[part.ep_name] += len(part.get_nodes())
    return dict(taken)
