"""Eyes with and without colour vision deficiencies tell all objects' colours apart."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from sam2lab.widgets.session.objects import PALETTE

# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
EYES = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(colour: str, eyes: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of #rrggbb as these eyes see it."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ (eyes @ linear).clip(0, 1) / (SRGB_TO_XYZ @ np.ones(3))
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", EYES)
def test_no_two_colours_look_alike(eyes: str) -> None:
    distances = {
        (a, b): float(np.linalg.norm(lab(a, EYES[eyes]) - lab(b, EYES[eyes])))
        for a, b in combinations(PALETTE, 2)
    }
    # Differences from about 2.3 on are noticed side by side; four times that, from memory.
    assert min(distances.values()) > 9.2, min(distances, key=distances.get)
