"""Simulates a network: seconds of waiting, computed from four figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sam2lab.runtime.arguments import number, whole

# A packet on an Ethernet path: 1500 bytes less the headers of IP and TCP.
PACKET_BYTES = 1460


@dataclass(frozen=True)
class SimulatedNetwork:
    """How long bytes would travel on a line that does not exist.

    `delay_ms` is for one way, `jitter_ms` is the most that it varies up or down, `loss` is the
    share of packets that get lost (0 to 0.5), `bandwidth_mbps` is in 10^6 bits per second and
    the same both ways. A direction takes the delay with its jitter, the time to send the bytes,
    and for each lost packet one round trip and the time to send it again.

    The connection counts as open already, and congestion control is left out: on a line that
    loses packets, large bodies would take longer. The result is arithmetic with `seed`, never a
    measurement.

    >>> line = SimulatedNetwork(delay_ms=20, bandwidth_mbps=8)
    >>> line.seconds(1_000_000, crossing=0)
    1.02
    >>> print(line)
    simulated network: 20 ± 0 ms each way, 0 % of packets lost, 8 Mbit/s
    """

    delay_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0
    bandwidth_mbps: float = math.inf
    seed: int = 0
    name: str = "network"

    def __post_init__(self) -> None:
        number("delay_ms", self.delay_ms, 0)
        # Nothing arrives before it is sent.
        number("jitter_ms", self.jitter_ms, 0, self.delay_ms)
        number("loss", self.loss, 0, 0.5)
        if self.bandwidth_mbps != math.inf:
            number("bandwidth_mbps", self.bandwidth_mbps, 1e-6)
        whole("seed", self.seed, 0)

    def seconds(self, nbytes: int, crossing: int) -> float:
        """How long `nbytes` take one way; equal `seed` and `crossing` give equal seconds."""
        chance = np.random.default_rng([self.seed, crossing])
        delay_ms = self.delay_ms + self.jitter_ms * float(chance.uniform(-1, 1))
        packets = max(1, math.ceil(nbytes / PACKET_BYTES))
        # A packet that is sent again may be lost again.
        lost = int(chance.negative_binomial(packets, 1 - self.loss)) if self.loss else 0
        again_ms = lost * (2 * self.delay_ms + self._sending_ms(PACKET_BYTES))
        return (delay_ms + self._sending_ms(nbytes) + again_ms) / 1000

    def __str__(self) -> str:
        return (
            f"simulated {self.name}: {self.delay_ms:g} ± {self.jitter_ms:g} ms each way, "
            f"{100 * self.loss:g} % of packets lost, {self.bandwidth_mbps:g} Mbit/s"
        )

    def _sending_ms(self, nbytes: int) -> float:
        return 8 * nbytes / (1000 * self.bandwidth_mbps)


# Round figures to think with, not measured: pass the figures of your own line instead.
ASSUMED_NETWORKS = {
    line.name: line
    for line in (
        SimulatedNetwork(3, 2, 0.001, 100, name="home wifi (assumed)"),
        SimulatedNetwork(10, 3, 0.001, 50, name="same-city cloud (assumed)"),
        SimulatedNetwork(25, 10, 0.005, 10, name="4G (assumed)"),
    )
}
