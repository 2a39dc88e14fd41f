"""A comparison with made-up numbers, whose tables can be worked out by hand."""

from __future__ import annotations

from typing import Any

from sam2lab.peers import Comparison

ABOUT = {
    "size": "nano",
    "version": "2.1",
    "weights": "random:0",
    "side": 1024,
    "threads": 2,
    "rounds": 5,
    "starts": 4,
    "date": "2026-11-21T12:00:00+00:00",
    "machine": {"cpu": "Some CPU", "usable_cores": 2, "memory_mb": 8000, "system": "Linux 6"},
    "versions": {"onnxruntime": "1.31.1"},
}
# The slowness of the machine in each round, which must not show in a ratio.
ROUNDS = (1.0, 3.0, 1.2, 0.9, 2.0)
# As multiples of ours: encoding, one prompt, each of many, from import to the first mask.
TAKES = {"sam2lab": (1, 1, 1, 1), "samexporter": (2, 1.5, None, 3), "PyTorch": (4, 2, 2.5, 2)}
KINDS = ("1 point", "point + negative", "3 points", "box", "box + point", "refine")


def contender(name: str, state: str = "ran", reason: str = "") -> dict[str, Any]:
    files_mb = 100.0 if state == "ran" else None
    return {
        "contender": name,
        "state": state,
        "reason": reason,
        "is_exact": True,
        "files_mb": files_mb,
    }


def comparison() -> Comparison:
    """Ours, one that cannot take several prompts, the original, one missing, one that failed."""
    lines: list[dict[str, Any]] = []
    for name in TAKES:
        iou: dict[str, Any] = dict.fromkeys(KINDS, 1.0)
        if name == "samexporter":
            iou["box"] = 0.5
        several: Any = "Fail: Reshape" if name == "samexporter" else 1.0
        lines.append({"phase": "answers", "contender": name, "iou": iou, "several": several})
    for phase in ("encode", "decode"):
        for number, slow in enumerate(ROUNDS, 1):
            times = {}
            for name, (encode, decode, many, _) in TAKES.items():
                if phase == "encode":
                    times[name] = {"encode_ms": 1000 * slow * encode}
                else:
                    times[name] = {"decode_ms": 40 * slow * decode}
                    if many is not None:
                        times[name]["many_ms"] = 10 * slow * many
            lines.append({"phase": phase, "round": number, "times": times})
    for number, slow in enumerate(ROUNDS[:4], 1):
        for name, (*_, first) in TAKES.items():
            lines.append(
                {
                    "phase": "start",
                    "round": number,
                    "contender": name,
                    "first_mask_ms": 900 * slow * first,
                    "uses_torch": name == "PyTorch",
                    "peak_mb": 1.0,
                    "iou": 0.9 if name == "samexporter" else 1.0,
                }
            )
    for number in (1, 2):
        for name, peak_mb in zip(TAKES, (500, 800, 1000), strict=True):
            lines.append(
                {"phase": "peak", "round": number, "contender": name, "peak_mb": peak_mb + number}
            )
    error = "RuntimeError: wrong width"
    lines.append({"phase": "start", "round": 4, "contender": "samexporter", "error": error})
    return Comparison(
        ABOUT,
        [
            *map(contender, TAKES),
            contender("sam2-onnx", "missing", "sam2_onnx not installed, needs Python 3.12"),
            contender("OpenVINO f32", "failed", "RuntimeError: no such device"),
        ],
        lines,
    )
