"""Rows of the device table from AI Hub's profiles."""

from __future__ import annotations

import copy

import pandas as pd
import pytest

from sam2lab.measure import devices
from sam2lab.measure.profiles import CHIPSETS, profile_row

PROFILE = {
    "execution_summary": {
        "estimated_inference_time": 49966,
        "inference_memory_peak_range": [15 << 20, (1923 << 20) + 5],
        "all_inference_times": [50100, 49966],
    },
    "execution_detail": [{"compute_unit": unit} for unit in ("NPU", "NPU", "CPU")],
}
ABOUT = ("SAM2Encoder", "qnn_dlc", "float", "qualcomm-snapdragon-8gen3", "tiny, trained weights")


def test_a_row_has_the_units_and_names_of_the_published_table() -> None:
    row = profile_row(PROFILE, *ABOUT)
    published = devices.published()
    assert list(row)[: len(published.columns)] == list(published.columns)
    assert row["chipset"] in set(published["chipset"])
    assert row["runtime"] in devices.RUNTIMES
    figures = ("inference_ms", "peak_mb_min", "peak_mb_max", "primary_compute_unit")
    assert [row[name] for name in figures] == [49.966, 15, 1923, "NPU"]
    assert [row[name] for name in ("runs", "nodes", "fallback_nodes")] == [2, 3, 1]
    table = pd.concat([published, pd.DataFrame([row])], ignore_index=True)
    assert len(devices.select(table, "SAM2Encoder", "QNN_DLC", "float")) > 1


def test_every_published_chipset_has_its_name_at_ai_hub() -> None:
    assert set(devices.published()["chipset"]) <= set(CHIPSETS.values())


def test_a_chipset_without_a_name_keeps_its_own() -> None:
    row = profile_row(PROFILE, *ABOUT[:3], "qualcomm-new", ABOUT[4])
    assert row["chipset"] == "qualcomm-new"


@pytest.mark.parametrize("part", ["execution_summary", "execution_detail"])
def test_a_profile_without_a_part_is_refused(part: str) -> None:
    broken = copy.deepcopy(PROFILE)
    del broken[part]
    with pytest.raises(ValueError, match=f"profile lacks .*{part}"):
        profile_row(broken, *ABOUT)
