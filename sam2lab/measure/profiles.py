"""Rows of the device table from profiles that Qualcomm AI Hub measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

# The names of the published table, and of further chips, by AI Hub's own: `chipset:...` among the
# attributes of a device, as qai_hub_models/devices_and_chipsets.yaml lists them.
CHIPSETS = {
    "qualcomm-snapdragon-888": "Snapdragon 888 Mobile",
    "qualcomm-snapdragon-8gen1": "Snapdragon 8 Gen 1 Mobile",
    "qualcomm-snapdragon-8gen2": "Snapdragon 8 Gen 2 Mobile",
    "qualcomm-snapdragon-8gen3": "Snapdragon 8 Gen 3 Mobile",
    "qualcomm-snapdragon-8-elite": "Snapdragon 8 Elite Mobile",
    "qualcomm-snapdragon-8-elite-for-galaxy": "Snapdragon 8 Elite For Galaxy Mobile",
    "qualcomm-snapdragon-8-elite-gen5": "Snapdragon 8 Elite Gen 5 Mobile",
    "qualcomm-snapdragon-7gen4": "Snapdragon 7 Gen 4 Mobile",
    "qualcomm-snapdragon-x-elite": "Snapdragon X Elite",
    "qualcomm-snapdragon-x-plus-8-core": "Snapdragon X Plus 8-Core",
    "qualcomm-snapdragon-x2-elite": "Snapdragon X2 Elite",
    "qualcomm-qcs6490": "Qualcomm QCS6490",
    "qualcomm-qcm6690": "Qualcomm QCM6690",
    "qualcomm-qcs9075": "Qualcomm QCS9075",
    "qualcomm-qcs8275-proxy": "Qualcomm QCS8275 (Proxy)",
    "qualcomm-qcs8450-proxy": "Qualcomm QCS8450 (Proxy)",
    "qualcomm-qcs8550-proxy": "Qualcomm QCS8550 (Proxy)",
    "qualcomm-sa7255p": "Qualcomm SA7255P",
    "qualcomm-sa8295p": "Qualcomm SA8295P",
    "qualcomm-sa8775p": "Qualcomm SA8775P",
}


def profile_row(
    profile: Mapping[str, Any],
    model: str,
    runtime: str,
    precision: str,
    chipset: str,
    measured: str,
) -> dict[str, Any]:
    """A row of the form of `devices.this_machine`, of one job's profile as the client gives it.

    `runtime` and `chipset` are AI Hub's names. `inference_ms` is AI Hub's estimate, which is what
    was published; `runs` is how many it had. Memory is counted in units of 2^20 bytes, rounded
    down, as in the published table.
    """
    try:
        summary, layers = profile["execution_summary"], profile["execution_detail"]
        low, high = summary["inference_memory_peak_range"]
        units = Counter(layer["compute_unit"] for layer in layers)
        most = max(units, key=lambda unit: units[unit], default="unknown")
        return {
            "model": model,
            "runtime": runtime.upper(),
            "precision": precision,
            "chipset": CHIPSETS.get(chipset, chipset),
            "inference_ms": summary["estimated_inference_time"] / 1000,
            "peak_mb_min": low >> 20,
            "peak_mb_max": high >> 20,
            "primary_compute_unit": most,
            "runs": len(summary.get("all_inference_times", [])),
            "provider": "Qualcomm AI Hub",
            "nodes": len(layers),
            "fallback_nodes": units["CPU"] if most != "CPU" else 0,
            "measured": measured,
        }
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"profile lacks what a row of the device table needs ({error!r}); wanted what "
            "download_profile of qai-hub returns for a job that was profiled"
        ) from None
