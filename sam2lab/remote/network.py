"""A network that is only simulated: seconds of waiting, computed from four figures."""

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
    simulated network: 20 ms each way, 8 Mbit/s
    """

    delay_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0
    bandwidth_mbps: float = math.inf
    seed: int = 0
    name: str = "network"

    def __post_init__(self) -> None:
        for name in ("delay_ms", "jitter_ms", "loss"):
            number(name, getattr(self, name), 0)
        if self.jitter_ms > self.delay_ms:
            raise ValueError(
                f"jitter_ms is {self.jitter_ms}; wanted 0 to delay_ms, {self.delay_ms}: nothing "
                "arrives before it is sent"
            )
        if self.loss > 0.5:
            raise ValueError(
                f"loss is {self.loss}; wanted a share from 0 to 0.5, such as 0.01 for one packet "
                "in a hundred"
            )
        if self.bandwidth_mbps != math.inf and number("bandwidth_mbps", self.bandwidth_mbps) <= 0:
            raise ValueError(
                f"bandwidth_mbps is {self.bandwidth_mbps}; wanted megabits per second above 0, or "
                "math.inf for no limit"
            )
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
        parts = [f"{self.delay_ms:g} ms each way"]
        if self.jitter_ms:
            parts[0] = f"{self.delay_ms:g} ± {self.jitter_ms:g} ms each way"
        if self.bandwidth_mbps < math.inf:
            parts.append(f"{self.bandwidth_mbps:g} Mbit/s")
        if self.loss:
            parts.append(f"{100 * self.loss:g} % of packets lost")
        return f"simulated {self.name}: {', '.join(parts)}"

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
