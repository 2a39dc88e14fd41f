"""Studies over a Dask cluster of processes give the tables that they give in this one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import dask
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from sam2lab.measure.accuracy import evaluate
from sam2lab.measure.tracking import tracking_study
from tests.measure.known import Hooked, KnownEngine, open_slow, scenes
from tests.measure.test_accuracy import same
from tests.measure.test_tracking import open_engine, squares


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    # By default it sets OMP_NUM_THREADS=1 in this process too, and every notebook that runs later
    # in it would have one thread.
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as running,
    ):
        yield running


def test_a_cluster_that_loses_a_worker_gives_the_same_table(cluster: LocalCluster) -> None:
    with Client(cluster) as client:
        victim, survivor = client.run(os.getpid).values()

        def kill() -> None:
            os.kill(victim, signal.SIGKILL)

        found = evaluate(
            {"known": open_slow},
            Hooked(24, 10, kill),
            clicks=3,
            executor=client.get_executor(),
            in_flight=6,
        )
        client.wait_for_workers(2)
        working = set(client.run(os.getpid).values())
    assert survivor in working
    assert victim not in working
    assert not found.table.attrs["interrupted"]
    same(found, evaluate({"known": KnownEngine()}, scenes(24), clicks=3))


def test_a_cluster_follows_objects_to_the_same_table(cluster: LocalCluster) -> None:
    videos = [squares("a", 3), squares("b", 4)]
    with Client(cluster) as client:
        there = tracking_study(
            {"fake": open_engine}, videos, executor=client.get_executor(), in_flight=2
        )
    pd.testing.assert_frame_equal(there, tracking_study({"fake": open_engine}, videos))
