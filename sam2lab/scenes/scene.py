"""A picture and the visible part of each object on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
Masks = npt.NDArray[np.bool_]

# A click on a smaller object is ambiguous.
LEAST_SHARE = 0.001
LEAST_PIXELS = 20


@dataclass(frozen=True, eq=False)
class Scene:
    """image: uint8 (H, W, 3) in RGB order. masks: bool (N, H, W), N may be 0.

    A mask is the visible part of its object: where another object hides it, it is False.
    """

    image: RGB
    masks: Masks

    def without_specks(self) -> Scene:
        """Leave out objects of less than 0.1 % of the picture or under 20 pixels.

        >>> masks = np.zeros((2, 16, 16), bool)
        >>> masks[0, :5, :5] = masks[1, 8, 8] = True
        >>> Scene(np.zeros((16, 16, 3), np.uint8), masks).without_specks().masks.shape
        (1, 16, 16)
        """
        height, width = self.masks.shape[1:]
        least = max(LEAST_PIXELS, LEAST_SHARE * height * width)
        seen = np.count_nonzero(self.masks, axis=(1, 2)) >= least
        return self if seen.all() else Scene(self.image, self.masks[seen])
