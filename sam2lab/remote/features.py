"""`RemoteFeatures`: features that stay on the server that made them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.engines.protocol import FEATURES, Features, Float32

Bytes = npt.NDArray[np.uint8]


class RemoteFeatures(Features):
    """Features of B images that stay on the server at `url` until one of their arrays is read.

    `handles` (B, 32) are their names there. `sizes` (B,) and `nbytes` are what they take there,
    so a cache with a bound in bytes holds as many images as it would of local features.
    """

    def __init__(
        self,
        url: str,
        handles: Bytes,
        sizes: npt.NDArray[np.int64],
        fetch: Callable[[Bytes], Features],
    ) -> None:
        self.url = url
        self.handles = handles
        self.sizes = sizes
        self._fetch = fetch

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take on the server."""
        return int(self.sizes.sum())

    def split(self) -> list[Features]:
        """One `RemoteFeatures` per image."""
        return [
            RemoteFeatures(self.url, self.handles[i : i + 1], self.sizes[i : i + 1], self._fetch)
            for i in range(len(self.handles))
        ]

    def __getattr__(self, name: str) -> Float32:
        """Fetch all arrays when the first of them is read."""
        if name not in FEATURES:
            raise AttributeError(f"RemoteFeatures has no {name!r}")
        each = [self._fetch(handle) for handle in self.handles]
        for array in FEATURES:
            self.__dict__[array] = np.concatenate([getattr(one, array) for one in each])
        found: Float32 = self.__dict__[name]
        return found

    def __repr__(self) -> str:
        return f"<RemoteFeatures of {len(self.handles)} images at {self.url}>"
