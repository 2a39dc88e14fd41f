"""`RemoteFeatures`: features that stay on a server until one of their arrays is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sam2lab.runtime.engines.protocol import FEATURES, Features, Float32


class RemoteFeatures(Features):
    """Features of which all arrays are fetched when the first is read.

    `nbytes` is what they hold here: that from which the server can make them again.
    """

    nbytes = 0

    def __init__(
        self,
        nbytes: int,
        fetch: Callable[[RemoteFeatures], Mapping[str, Float32]],
        images: Sequence[RemoteFeatures] = (),
    ) -> None:
        self.nbytes = nbytes
        self._fetch = fetch
        self._images = images

    def split(self) -> list[Features]:
        """One `RemoteFeatures` per image."""
        return [*self._images] or [self]

    def __getattr__(self, name: str) -> Float32:
        """Fetch all arrays when the first of them is read."""
        if name not in FEATURES:
            raise AttributeError(f"RemoteFeatures has no {name!r}")
        self.__dict__.update(self._fetch(self))
        found: Float32 = self.__dict__[name]
        return found

    def __repr__(self) -> str:
        return f"<RemoteFeatures of {len(self.split())} images>"


def joined(images: Sequence[RemoteFeatures]) -> RemoteFeatures:
    """Several images as one batch."""

    def fetch(batch: RemoteFeatures) -> Mapping[str, Float32]:
        return {name: np.concatenate([getattr(one, name) for one in images]) for name in FEATURES}

    return RemoteFeatures(sum(one.nbytes for one in images), fetch, images)
