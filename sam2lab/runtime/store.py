"""Keeps embeddings on disk, so that a classroom encodes a photo once."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from threading import Lock

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sam2lab.runtime.arguments import path
from sam2lab.runtime.embedding import ImageEmbedding, content_key
from sam2lab.runtime.engines.protocol import FEATURES, Features
from sam2lab.runtime.files import replacing

FORMAT = "sam2lab embedding 2"


class EmbeddingStore:
    """A folder of embeddings, one safetensors file for each key.

    Any number of threads and processes may share the folder: a file appears whole or not at
    all. It is made on the first `put` and grows without bound; any file in it may be deleted.
    A file that is damaged, or of an older format, counts as missing: a warning reports it once,
    and the next `put` of its key replaces it.

    >>> import tempfile
    >>> store = EmbeddingStore(tempfile.mkdtemp())
    >>> sizes = [(1, 8, 4, 4), (1, 1, 16, 16), (1, 2, 8, 8)]
    >>> features = Features(*(np.ones(size, np.float32) for size in sizes))
    >>> store.put(ImageEmbedding("a1", (480, 640), "tiny", features))
    >>> store.get("a1").image_size, store.get("b2")
    ((480, 640), None)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = path("folder", folder).expanduser()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"folder must name a folder, or nothing yet, not a file: {folder}")
        self._reported: set[str] = set()
        self._lock = Lock()

    def get(self, key: str) -> ImageEmbedding | None:
        """The embedding kept under `key`, in fresh arrays, or None.

        The file's own key must be `key`, and its numbers must match the digest in its header, so
        a renamed file is not taken for another image's.
        """
        path = self._path(key)
        try:
            return _read(path, key)
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError) as error:
            with self._lock:
                is_new = key not in self._reported
                self._reported.add(key)
            if is_new:
                warnings.warn(
                    f"{path} is not used ({error}); it will be replaced when the image is "
                    f"encoded again.",
                    stacklevel=2,
                )
            return None

    def put(self, embedding: ImageEmbedding) -> None:
        """Keep an embedding under its key, in place of any earlier one."""
        path = self._path(embedding.key)
        data = _serialise(embedding)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            # safetensors' own save_file makes files that only their owner may read.
            beside.write_bytes(data)
        with self._lock:
            self._reported.discard(embedding.key)

    def _path(self, key: str) -> Path:
        if not isinstance(key, str) or not re.fullmatch(r"[0-9a-f]{1,128}", key):
            raise ValueError(
                f"key must be a hex digest in lower case, as content_key gives it, not {key!r}."
            )
        return self.folder / f"{key}.safetensors"


def _serialise(embedding: ImageEmbedding) -> bytes:
    _check_shapes(embedding.features)
    header = {
        "format": FORMAT,
        "key": embedding.key,
        "image_size": _size_text(embedding),
        "model_key": embedding.model_key,
        "digest": _digest(embedding),
    }
    arrays = {name: np.ascontiguousarray(getattr(embedding.features, name)) for name in FEATURES}
    return save(arrays, metadata=header)


def _read(path: Path, key: str) -> ImageEmbedding:
    """Read one file; anything unexpected in it raises a ValueError or a SafetensorError."""
    # numpy arrays are copies, so a later change of the file does not reach them.
    with safe_open(path, framework="np") as file:
        header = file.metadata() or {}
        if header.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if header.get("key") != key:
            raise ValueError(
                f"it holds another image or model: model {header.get('model_key')!r}, "
                f"key {header.get('key')!r}"
            )
        features = Features(**{name: file.get_tensor(name) for name in FEATURES})
    _check_shapes(features)
    height, _, width = header.get("image_size", "").partition("x")
    embedding = ImageEmbedding(
        key=key,
        image_size=(int(height), int(width)),
        model_key=header.get("model_key", ""),
        features=features,
    )
    if header.get("digest") != _digest(embedding):
        raise ValueError("its content does not match its digest")
    return embedding


def _size_text(embedding: ImageEmbedding) -> str:
    height, width = embedding.image_size
    return f"{height}x{width}"


def _digest(embedding: ImageEmbedding) -> str:
    """A digest of everything in a file."""
    features = embedding.features
    return content_key(
        features.image_embed,
        content_key(features.high_res_feats_0),
        content_key(features.high_res_feats_1),
        embedding.key,
        _size_text(embedding),
        embedding.model_key,
    )


def _check_shapes(features: Features) -> None:
    """Raise a ValueError unless the arrays are one image's features as `Features` has them."""
    arrays = {name: getattr(features, name) for name in FEATURES}
    found = ", ".join(f"{name} {array.dtype}{array.shape}" for name, array in arrays.items())
    shape = features.image_embed.shape
    if len(shape) == 4 and shape[0] == 1:
        _, channels, height, width = shape
        wanted = {
            "image_embed": shape,
            "high_res_feats_0": (1, channels // 8, 4 * height, 4 * width),
            "high_res_feats_1": (1, channels // 4, 2 * height, 2 * width),
        }
        if all(array.shape == wanted[name] for name, array in arrays.items()) and all(
            array.dtype == np.float32 for array in arrays.values()
        ):
            return
    raise ValueError(
        f"features must be float32 of one image, (1, C, h, w), (1, C/8, 4h, 4w) and "
        f"(1, C/4, 2h, 2w), not {found}; Features.split() takes a batch apart"
    )
