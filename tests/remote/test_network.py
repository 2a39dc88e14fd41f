from __future__ import annotations

import math
import re

import numpy as np
import pytest

from sam2lab.remote import ASSUMED_NETWORKS, RemoteEngine, Server, SimulatedNetwork, connection
from sam2lab.remote.network import PACKET_BYTES
from sam2lab.runtime.segmenter import Segmenter


def test_a_line_takes_its_delay_and_the_time_to_send_the_bytes() -> None:
    line = SimulatedNetwork(delay_ms=30, bandwidth_mbps=10)
    # 2 500 000 bytes are 20 megabits.
    assert line.seconds(2_500_000, crossing=0) == pytest.approx(0.030 + 2.0)
    assert SimulatedNetwork(delay_ms=30).seconds(10**9, crossing=3) == pytest.approx(0.030)


def test_jitter_stays_within_its_bounds_and_uses_them() -> None:
    line = SimulatedNetwork(delay_ms=20, jitter_ms=5)
    took = np.array([line.seconds(1, crossing) for crossing in range(2000)])
    assert took.min() >= 0.015
    assert took.max() <= 0.025
    # Uniform on ±5 ms: the mean of 2000 is within 5 standard errors, 5 * 5 / sqrt(3 * 2000).
    assert abs(took.mean() - 0.020) < 5e-3 * 5 / math.sqrt(3 * 2000)


def test_lost_packets_are_paid_with_a_round_trip_each() -> None:
    line = SimulatedNetwork(delay_ms=50, loss=0.2)
    packets = 1000
    took = np.array([line.seconds(packets * PACKET_BYTES, crossing) for crossing in range(400)])
    lost = (took - 0.050) / 0.100
    np.testing.assert_allclose(lost, lost.round(), atol=1e-6)
    # Failures before 1000 successes at 0.8: mean 250, variance 312.5; five standard errors.
    assert abs(lost.mean() - 250) < 5 * math.sqrt(312.5 / 400)


def test_equal_seeds_give_equal_chance_and_others_do_not() -> None:
    def crossings(seed: int) -> list[float]:
        line = SimulatedNetwork(40, 20, 0.1, 10, seed=seed)
        return [line.seconds(100_000, crossing) for crossing in range(20)]

    assert crossings(1) == crossings(1)
    assert not set(crossings(1)) & set(crossings(2))


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"delay_ms": -1}, "delay_ms"),
        ({"delay_ms": math.nan}, "delay_ms"),
        ({"delay_ms": 5, "jitter_ms": 6}, "jitter_ms"),
        ({"delay_ms": 5, "loss": 0.9}, "loss"),
        ({"delay_ms": 5, "bandwidth_mbps": 0}, "bandwidth_mbps"),
        ({"delay_ms": 5, "bandwidth_mbps": math.nan}, "bandwidth_mbps"),
        ({"delay_ms": 5, "bandwidth_mbps": "fast"}, "bandwidth_mbps"),
        ({"delay_ms": "5"}, "delay_ms"),
        ({"delay_ms": 5, "loss": None}, "loss"),
        ({"delay_ms": 5, "seed": -1}, "seed"),
        ({"delay_ms": 5, "seed": True}, "seed"),
    ],
)
def test_impossible_figures_of_a_network_are_refused_by_name(
    figures: dict[str, float], name: str
) -> None:
    with pytest.raises(ValueError, match=f"^{name} is"):
        SimulatedNetwork(**figures)


@pytest.mark.parametrize("line", ASSUMED_NETWORKS.values(), ids=list(ASSUMED_NETWORKS))
def test_a_preset_says_its_figures_and_that_they_are_simulated_and_assumed(
    line: SimulatedNetwork,
) -> None:
    text = str(line)
    assert text.startswith("simulated ")
    assert "(assumed)" in text
    for figure in (line.delay_ms, line.jitter_ms, line.bandwidth_mbps, 100 * line.loss):
        assert re.search(rf"\b{re.escape(f'{figure:g}')}\b", text)


def test_a_remote_engine_waits_what_the_arithmetic_says(
    server: Server, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(connection, "sleep", slept.append)
    line = SimulatedNetwork(40, 15, 0.02, 10, seed=7)
    trips = []
    with RemoteEngine(server.url, server.token, network=line) as remote:
        segmenter = Segmenter(remote)
        for x in (10, 30, 60):
            segmenter.segment_images(photo, point_coordinates=[[x, 20]], point_labels=[1])
            trips.append(remote.last_trip)
        # The photo was encoded once, before the first click.
        pixels = np.zeros((1, 3, *remote.info.input_size), np.float32)
        remote.encode(pixels)
        trips.append(remote.last_trip)
    crossings = [slept[i : i + 2] for i in range(0, len(slept), 2)]
    assert len(crossings) == 5
    for number, trip in zip((1, 2, 3, 4), trips, strict=True):
        wanted = [
            line.seconds(trip.sent_bytes, 2 * number),
            line.seconds(trip.received_bytes, 2 * number + 1),
        ]
        assert crossings[number] == wanted
        assert trip.simulated_s == sum(wanted)


def test_everything_that_a_simulated_line_touches_says_so(server: Server) -> None:
    line = ASSUMED_NETWORKS["4G (assumed)"]
    with RemoteEngine(server.url, server.token, network=line) as remote:
        for text in (remote.key, remote.info.name, repr(remote)):
            assert "simulated 4G (assumed)" in text
    with RemoteEngine(server.url, server.token) as plain:
        for text in (plain.key, plain.info.name, repr(plain)):
            assert "simulated" not in text


def test_lines_that_differ_in_any_figure_make_engines_of_different_keys(server: Server) -> None:
    base = {"delay_ms": 5, "jitter_ms": 1, "loss": 0.1, "bandwidth_mbps": 9, "seed": 0}
    keys = set()
    for changed in ({}, *({name: value / 2 + 0.01} for name, value in base.items() if value)):
        with RemoteEngine(
            server.url, server.token, network=SimulatedNetwork(**(base | changed))
        ) as remote:
            keys.add(remote.key)
    assert len(keys) == len(base)
