"""Downloads from a server on this machine that fails in the ways that a test asks for."""

from __future__ import annotations

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sam2lab.reference import fetch
from sam2lab.reference.fetch import DownloadError, download

CONTENT = os.urandom(3 << 20)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REPOSITORY = Path(__file__).resolve().parents[2]


class Server:
    """Serves `content` under any name; each attribute is one way to misbehave."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/weights.pt"
        self.content = CONTENT
        self.status: int | None = None
        self.supports_ranges = True
        self.claimed_start: int | None = None
        # How many bytes each answer sends before the connection is closed; then all.
        self.cuts: list[int] = []
        # How long the first answer stops in its middle.
        self.stall = 0.0
        self.pause_per_chunk = 0.0
        # The Range header of every request, None where there was none.
        self.asked: list[str | None] = []


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            settings.asked.append(asked)
            if settings.status:
                self.send_error(settings.status)
                return
            start = 0
            if asked and settings.supports_ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start and start >= len(settings.content):
                self.send_error(416)
                return
            if settings.claimed_start is not None and start:
                start = settings.claimed_start
            body = settings.content[start:]
            self.send_response(206 if asked and settings.supports_ranges else 200)
            if asked and settings.supports_ranges:
                total = len(settings.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.send(body)

        def send(self, body: bytes) -> None:
            if settings.cuts:
                body = body[: settings.cuts.pop(0)]
            stall, settings.stall = settings.stall, 0.0
            step = 1 << 18
            try:
                for at in range(0, len(body), step):
                    self.wfile.write(body[at : at + step])
                    time.sleep(settings.pause_per_chunk)
                    if at >= len(body) // 2 and stall:
                        time.sleep(stall)
            except OSError:
                pass  # The client went away, which is what some tests make it do.

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        settings = Server(running.server_address[1])
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield settings
        running.shutdown()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "weights.pt"


def part_of(path: Path) -> Path:
    return Path(f"{path}.part")


def leave_part(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    part_of(path).write_bytes(content)


def assert_whole(path: Path) -> None:
    assert path.read_bytes() == CONTENT
    assert not part_of(path).exists()


def test_a_file_arrives_whole_in_one_request(server, path):
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == [None]


def test_a_file_that_is_there_is_not_asked_for_again(server, path):
    download(server.url, path, SHA256)
    download(server.url, path, SHA256)
    assert server.asked == [None]


def test_progress_is_shown_to_the_end(server, path, capsys):
    server.pause_per_chunk = 0.02
    download(server.url, path, SHA256)
    shown = capsys.readouterr().err
    assert "weights.pt" in shown
    assert "100%" in shown


def test_a_broken_connection_is_taken_up_where_it_broke(server, path):
    server.cuts = [1 << 20, 1 << 19]
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == [None, f"bytes={1 << 20}-", f"bytes={3 << 19}-"]


def test_a_stalled_connection_is_taken_up_again(server, path, monkeypatch):
    monkeypatch.setattr(fetch, "_TIMEOUT", (5, 0.3))
    server.stall = 2.0
    download(server.url, path, SHA256)
    assert_whole(path)
    assert len(server.asked) == 2


def test_what_arrived_before_a_failure_serves_the_next_call(server, path):
    server.cuts = [1 << 20, 0]
    with pytest.raises(DownloadError, match=r"1\.0 MB have arrived and are kept"):
        download(server.url, path, SHA256)
    assert not path.exists()
    assert part_of(path).read_bytes() == CONTENT[: 1 << 20]
    server.asked.clear()
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == [f"bytes={1 << 20}-"]


def test_a_connection_that_always_breaks_is_given_up(server, path):
    server.cuts = [1 << 17] * 50
    with pytest.raises(DownloadError, match="broke off"):
        download(server.url, path, SHA256)
    assert len(server.asked) == 1 + fetch._RESUMPTIONS


def test_a_server_without_ranges_sends_the_whole_again(server, path):
    server.supports_ranges = False
    leave_part(path, b"x" * 1000)
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == ["bytes=1000-"]


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, path):
    leave_part(path, b"of an older file" * 100)
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == ["bytes=1600-", None]


def test_a_server_that_sends_another_range_than_asked_is_not_believed(server, path):
    leave_part(path, CONTENT[:1000])
    server.claimed_start = 500
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == ["bytes=1000-", None]


def test_a_whole_part_needs_no_transfer(server, path):
    leave_part(path, CONTENT)
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_fetched_anew(server, path):
    leave_part(path, CONTENT + b"more")
    download(server.url, path, SHA256)
    assert_whole(path)


def test_a_corrupt_file_is_not_kept(server, path):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(DownloadError, match="sha256") as error:
        download(server.url, path, SHA256)
    assert "thrown away" in str(error.value)
    assert not path.exists()
    assert not part_of(path).exists()


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_is_reported_after_one_request(server, path, status):
    server.status = status
    with pytest.raises(DownloadError, match=str(status)):
        download(server.url, path, SHA256)
    assert server.asked == [None]


def test_without_a_server_one_error_names_every_way_on(path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pt"
    with pytest.raises(DownloadError) as error:
        download(url, path, SHA256)
    message = str(error.value)
    assert isinstance(error.value, OSError)
    for words in (path.name, url, str(path), 'weights="random"', "Connection refused"):
        assert words in message
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_folder_that_cannot_be_written_is_reported(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"weights\.pt could not be fetched"):
        download(server.url, tmp_path / "file" / "weights.pt", SHA256)


def start_process(url: str, path: Path) -> subprocess.Popen[bytes]:
    script = f"""
from pathlib import Path
from sam2lab.reference.fetch import download
download({url!r}, Path({str(path)!r}), {SHA256!r})
"""
    return subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY)


def test_two_processes_share_one_download(server, path):
    server.pause_per_chunk = 0.2
    processes = [start_process(server.url, path) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert_whole(path)
    assert server.asked == [None]


def test_a_killed_process_leaves_what_another_goes_on_with(server, path):
    server.pause_per_chunk = 0.2
    process = start_process(server.url, path)
    deadline = time.monotonic() + 120
    while not (part_of(path).exists() and part_of(path).stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    server.pause_per_chunk = 0
    download(server.url, path, SHA256)
    assert_whole(path)
    assert server.asked[1].startswith("bytes=")


def test_a_checkpoint_is_kept_in_the_cache_folder(server, monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "_BASE", server.url.rsplit("/", 1)[0])
    monkeypatch.setitem(fetch._SHA256, "sam2.1_hiera_tiny.pt", SHA256)
    meta = fetch.checkpoint("tiny")
    assert meta.fetch() == meta.path == tmp_path / "checkpoints" / "sam2.1_hiera_tiny.pt"
    assert_whole(meta.path)


def test_a_file_in_the_cache_that_is_not_metas_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path))
    meta = fetch.checkpoint("small", "2.0")
    meta.path.parent.mkdir(parents=True)
    meta.path.write_bytes(b"something else")
    with pytest.raises(DownloadError, match="not the file that Meta published") as error:
        meta.fetch()
    assert str(meta.path) in str(error.value)
    assert meta.path.read_bytes() == b"something else"


def test_every_size_of_meta_has_its_own_hash():
    sizes = ("tiny", "small", "base_plus", "large")
    hashes = {fetch.checkpoint(s, v).sha256 for v in ("2.0", "2.1") for s in sizes}
    assert len(hashes) == 8
    assert all(len(bytes.fromhex(value)) == 32 for value in hashes)


@pytest.mark.parametrize(("size", "version"), [("nano", "2.1"), ("tiny", "3.0")])
def test_what_meta_did_not_publish_is_refused_with_what_it_did(size, version):
    with pytest.raises(ValueError, match=r"no checkpoint for .*sam2_hiera_large\.pt"):
        fetch.checkpoint(size, version)
