"""Downloads Meta's checkpoints on first use, resumes what broke off, and verifies them.

The hashes are those that other projects verify Meta's links against: all eight are in
micro_sam/v2/util.py of computational-cell-analytics/micro-sam (in its history, since it dropped
2.0), the four of 2.0 also in SegmentWithSAM.py of mazurowski-lab/SlicerSegmentWithSAM.

This uses requests, not pooch: pooch verifies too, but starts a broken download from the beginning.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from sam2lab import settings
from sam2lab.runtime.digests import sha256_of

_SHA256 = {
    "sam2.1_hiera_tiny.pt": "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    "sam2.1_hiera_small.pt": "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    "sam2.1_hiera_base_plus.pt": "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    "sam2.1_hiera_large.pt": "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    "sam2_hiera_tiny.pt": "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    "sam2_hiera_small.pt": "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    "sam2_hiera_base_plus.pt": "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    "sam2_hiera_large.pt": "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
}
_BASE = "https://dl.fbaipublicfiles.com/segment_anything_2"
_FAMILIES = {"2.0": "072824/sam2", "2.1": "092824/sam2.1"}

# Seconds to wait for a connection, and for the next bytes on it.
_TIMEOUT = (10, 60)
# A broken connection loses at most this much of what had arrived.
_CHUNK = 1 << 16
# How often a download goes on after its connection broke, if something had arrived.
_RESUMPTIONS = 3


class DownloadError(OSError):
    """A file could not be fetched; the message names it and every way on."""


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights that Meta published."""

    url: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the file is kept, and where it may be put by hand."""
        return settings.cache_folder() / "checkpoints" / self.url.rsplit("/", 1)[1]

    def fetch(self) -> Path:
        """The path of the file, verified; it is downloaded if it is not there yet."""
        if not self.path.is_file():
            download(self.url, self.path, self.sha256)
        elif (found := sha256_of(self.path)) != self.sha256:
            raise DownloadError(
                f"{self.path} is not the file that Meta published: its sha256 is {found}, not "
                f"{self.sha256}. Delete it to fetch it again; if it is a model of your own, move "
                "it elsewhere and pass its path as weights"
            )
        return self.path


def checkpoint(size: str, version: str = "2.1") -> Checkpoint:
    """The checkpoint that Meta published for a size; nothing is fetched.

    >>> checkpoint("tiny").url
    'https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_tiny.pt'
    """
    url = f"{_BASE}/{_FAMILIES.get(version)}_hiera_{size}.pt"
    name = url.rsplit("/", 1)[1]
    if name not in _SHA256:
        raise ValueError(
            f"Meta published no checkpoint for size={size!r}, version={version!r}; those that it "
            f"did are {', '.join(_SHA256)}"
        )
    return Checkpoint(url, _SHA256[name])


def download(url: str, path: Path, sha256: str) -> None:
    """Fetch `url` to `path`, which appears whole and verified or not at all.

    What has arrived is kept in `<path>.part`, and the next call goes on from there. Only one
    process downloads a file; others wait for it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if not path.is_file():
                _download_alone(url, path, sha256)
    except OSError as error:
        raise DownloadError(_explain(error, url, path)) from None


def _alone(path: Path) -> AbstractContextManager[Any]:
    lock = FileLock(f"{path}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        tqdm.write(f"{path.name} is being downloaded by another process; waiting for it")
        return lock.acquire()


def _download_alone(url: str, path: Path, sha256: str) -> None:
    part = _part_of(path)
    was_pieced = _receive_all(url, part)
    found = sha256_of(part)
    if found != sha256 and was_pieced:
        # The first piece may be of an older file, or the server's ranges may be wrong. So the
        # whole file is fetched once more.
        part.unlink()
        _receive_all(url, part)
        found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise OSError(
            f"what arrived is not the file: its sha256 is {found}, not {sha256}, so it was "
            "thrown away"
        )
    os.replace(part, path)


def _receive_all(url: str, part: Path) -> bool:
    """Receive what is missing of a file; True if it may consist of several answers."""
    was_pieced = _size(part) > 0
    for resumptions_left in reversed(range(_RESUMPTIONS + 1)):
        before = _size(part)
        try:
            _receive(url, part)
            break
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            if not resumptions_left or _size(part) <= before:
                raise
            was_pieced = True
    return was_pieced


def _receive(url: str, part: Path) -> None:
    """Append one answer of the server to `part`, or replace it where the whole file is sent."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # Nothing is missing, or the hash will differ.
        answer.raise_for_status()
        is_part = answer.status_code == requests.codes.partial_content
        is_asked = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if not (is_part and is_asked):
            part.unlink(missing_ok=True)
        if not is_part or is_asked:
            _append(answer, part)
            return
    if not have:
        raise requests.ConnectionError("the server sends a piece of the file unasked")
    _receive(url, part)


def _append(answer: requests.Response, part: Path) -> None:
    have = _size(part)
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length else None
    with (
        part.open("ab") as file,
        tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True) as bar,
    ):
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            bar.update(len(chunk))


def _part_of(path: Path) -> Path:
    return Path(f"{path}.part")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _explain(error: OSError, url: str, path: Path) -> str:
    kept = _size(_part_of(path)) / 1e6
    resume = f" ({kept:.1f} MB have arrived and are kept)" if kept else ""
    return (
        f"{path.name} could not be fetched from {url}: {_reason(error, url)}. Ways on: try again "
        f"where there is a network{resume}; or fetch that address by other means and put the "
        f'file at {path}; or pass weights="random", the same architecture with weights that mean '
        "nothing, good for time and numeric parity"
    )


def _reason(error: OSError, url: str) -> str:
    host = urlsplit(url).netloc
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{host} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {host} broke off"
    if isinstance(error, requests.RequestException) and error.args:
        # requests wraps what urllib3 wrapped: "HTTPSConnection(…): Failed to resolve …".
        text = str(getattr(error.args[0], "reason", None) or error.args[0])
        return text.partition("): ")[2] or text
    return str(error)
