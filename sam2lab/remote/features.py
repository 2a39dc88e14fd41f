"""`RemoteFeatures`: features that stay on the server that made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sam2lab.remote.wire import FEATURES
from sam2lab.runtime.engines.protocol import Features, Float32


class Kept(NamedTuple):
    """One image's features on a server: their name there, and the bytes they take."""

    handle: bytes
    nbytes: int


class RemoteFeatures(Features):
    """Features that stay on the server at `url` until their arrays are read.

    `nbytes` is what they take there, so a cache with a bound in bytes holds as many images as
    it would of local features.
    """

    def __init__(self, url: str, kept: Sequence[Kept], fetch: Callable[[bytes], Features]) -> None:
        self.url = url
        self.kept = tuple(kept)
        self._fetch = fetch

    @property
    def nbytes(self) -> int:
        """Bytes that the three arrays take on the server."""
        return sum(one.nbytes for one in self.kept)

    @property
    def image_embed(self) -> Float32:
        """(B, C, h, w), fetched once."""
        return self._here.image_embed

    @property
    def high_res_feats_0(self) -> Float32:
        """(B, C/8, 4h, 4w), fetched once."""
        return self._here.high_res_feats_0

    @property
    def high_res_feats_1(self) -> Float32:
        """(B, C/4, 2h, 2w), fetched once."""
        return self._here.high_res_feats_1

    def split(self) -> list[Features]:
        """One `RemoteFeatures` per image."""
        return [RemoteFeatures(self.url, [one], self._fetch) for one in self.kept]

    def __repr__(self) -> str:
        return f"<RemoteFeatures of {len(self.kept)} images at {self.url}>"

    @cached_property
    def _here(self) -> Features:
        each = [self._fetch(one.handle) for one in self.kept]
        return Features(
            *(np.concatenate([getattr(one, name) for one in each]) for name in FEATURES)
        )
