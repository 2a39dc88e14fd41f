"""The command line: what it writes, what it says, and with which code it ends."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from pkgutil import resolve_name

import pytest
from onnx import ModelProto

from sam2lab import __version__
from sam2lab.cli import main
from sam2lab.cli.main import COMMANDS
from sam2lab.export import onnx
from sam2lab.graphs.writing import write_graph
from sam2lab.reference import fetch, zoo
from sam2lab.runtime.bundle import Bundle, Graph
from tests.blocking import TORCH, run_without
from tests.exporting import without_memory

SMALL = ("--weights", "random", "--input-size", "64x96")
PROG = "python -m sam2lab"


def run(*argv: str) -> int | str | None:
    """The exit code of a command, whichever way it ends."""
    try:
        return main(argv, prog=PROG)
    except SystemExit as stop:
        return stop.code


def only_line(text: str) -> str:
    """The one line that a text has."""
    (line,) = text.splitlines()
    return line


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder."""
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as the command line writes it."""
    folder = tmp_path_factory.mktemp("cli") / "exported"
    with without_memory():
        assert run("export", "nano", *SMALL, "--out", str(folder)) == 0
    return folder


@pytest.fixture
def copied(exported: Path, models: Path) -> Path:
    """The same in the models folder, where a test may spoil it."""
    return shutil.copytree(exported, models / "copied")


def test_export_writes_what_was_asked_for_and_prints_where(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with without_memory():
        assert run("export", "nano", *SMALL, "--precision", "fp16") == 0

    folder = models / "nano-random-64x96-fp16"
    assert capsys.readouterr().out == f"{folder}\n"
    info = Bundle.open(folder).info
    assert (info.size, info.precision, info.input_size) == ("nano", "fp16", (64, 96))
    assert info.has_random_weights


@pytest.mark.usefixtures("unsimplified")
def test_export_takes_the_weights_that_ship(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", "nano", "--input-size", "64x64") == 0
    assert capsys.readouterr().out == f"{models / 'nano-64x64'}\n"
    assert Bundle.open(models / "nano-64x64").info.weights.startswith("trained-here:")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "COMMAND"),
        ("exprot tiny", "'exprot'"),
        ("export tyni", "'tyni'"),
        ("export nano --input-size 720", "'720' is not HEIGHTxWIDTH"),
        ("export nano --weights random --input-size 70x96", "70"),
        ("export nano --weights no.pt", "no such file"),
        ("export nano --weights random --version 2.0", "2.0"),
        ("export nano --precision int4", "'int4'"),
        ("fetch nano", "'nano'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    models: Path, capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    assert run(*typed.split()) == 2

    out, err = capsys.readouterr()
    assert said in only_line(err)
    assert not out
    assert not models.exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--out {file}/tiny", "is a file; choose another place"),
        ("--calibration no/photos --precision w8a8", "'no/photos', which is no folder"),
        ("--calibration {file}", "calibration and recipe are for precision='w8a8'"),
    ],
)
def test_what_no_model_could_be_exported_to_is_told_before_one_is_fetched(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    said: str,
) -> None:
    (tmp_path / "note.txt").touch()
    monkeypatch.setattr(zoo, "load", None)
    assert run("export", "tiny", *typed.format(file=tmp_path / "note.txt").split()) == 2
    assert said in only_line(capsys.readouterr().err)


def test_export_leaves_a_bundle_that_is_there_alone(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed = (copied / "bundle.json").read_bytes()

    assert run("export", "nano", *SMALL, "--out", str(copied)) == 2

    assert str(copied) in only_line(capsys.readouterr().err)
    assert (copied / "bundle.json").read_bytes() == sealed


def test_info_says_what_a_bundle_is(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", str(exported)) == 0

    said = capsys.readouterr().out
    for fact in (
        "nano",
        "float",
        "64x96",
        "random weights",
        "time and numeric parity only",
        "encoder.onnx",
        "image float32[B, 3, 64, 96]",
        "single_mask float32[L, 1, 16, 24]",
        f"sam2lab {__version__}",
        "verified",
    ):
        assert fact in said


def test_info_finds_a_changed_byte(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = copied / "decoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)

    assert run("info", str(copied)) == 1

    out, err = capsys.readouterr()
    assert "decoder.onnx was changed" in only_line(err)
    assert not out


def test_info_of_a_folder_that_is_none_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", str(tmp_path / "nothing")) == 1
    assert "python -m sam2lab export" in only_line(capsys.readouterr().err)


def test_info_lists_what_is_here(
    copied: Path,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    checkpoint = fetch.checkpoint("small", "2.0").path
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    shutil.copytree(copied, models / "spoilt")
    (models / "spoilt" / "encoder.onnx").unlink()

    assert run("info") == 0

    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "not fetched" in said["tiny"]
    assert str(checkpoint) in said["small"]
    assert "nano 2.1, float, 64x96, random weights" in said["copied"]
    assert "lacks encoder.onnx" in said["spoilt"]


def without_torch(*argv: str) -> subprocess.CompletedProcess[str]:
    command = 'import runpy; runpy.run_module("sam2lab", run_name="__main__", alter_sys=True)'
    return run_without([*TORCH, "onnx"], command, *argv)


def test_info_works_where_torch_cannot_be_imported(copied: Path, models: Path) -> None:
    described = without_torch("info", str(copied))
    assert (described.returncode, described.stderr) == (0, "")
    assert "decoder.onnx" in described.stdout

    listed = without_torch("info")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "torch is not installed" in listed.stdout
    assert "copied" in listed.stdout


def test_export_without_torch_says_what_to_install(models: Path) -> None:
    done = without_torch("export", "nano", "--weights", "random")
    assert done.returncode == 1
    assert only_line(done.stderr).startswith(f"{PROG} export: this command needs ")
    assert "pip install 'sam2lab[torch]'" in done.stderr


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server in Meta's place and an empty cache; what is written to the path is served."""
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        meta = fetch.Checkpoint(
            f"http://127.0.0.1:{server.server_port}/model.pt",
            hashlib.sha256(b"weights").hexdigest(),
        )
        monkeypatch.setattr(fetch, "checkpoint", lambda size, version: meta)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield folder / "model.pt"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: what is on stderr is what is tested."""


def test_fetch_shows_progress_and_prints_where_the_file_is(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published.write_bytes(b"weights")

    assert run("fetch", "tiny") == 0

    out, err = capsys.readouterr()
    path = Path(only_line(out))
    assert path.read_bytes() == b"weights"
    assert path.is_relative_to(tmp_path / "cache")
    assert "model.pt: 100%" in err


def test_fetch_of_what_the_server_lacks_fails_in_one_line(
    published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fetch", "tiny") == 1

    out, err = capsys.readouterr()
    assert "404" in only_line(err)
    assert not out


def test_ctrl_c_ends_with_130_and_one_line(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "load", interrupted)

    assert run("export", "nano") == 130
    assert only_line(capsys.readouterr().err) == "python -m sam2lab export: interrupted"


def test_ctrl_c_in_an_export_leaves_nothing_half_written(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    half_written = []

    def interrupted(graph: ModelProto, path: Path) -> Graph:
        written = write_graph(graph, path)
        half_written.extend(models.glob(".*/*"))
        signal.raise_signal(signal.SIGINT)
        return written

    monkeypatch.setattr(onnx, "write_graph", interrupted)
    # A shell starts what runs in the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run("export", "nano", *SMALL) == 130
    finally:
        signal.signal(signal.SIGINT, before)

    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "python -m sam2lab export: interrupted"
    assert not out
    assert [path.name for path in half_written] == ["encoder.onnx"]
    assert not list(models.iterdir())


def test_a_reader_that_stops_early_is_no_error_to_speak_of(copied: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sam2lab", "info", str(copied)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()  # long before anything is printed
    process.stdout = None
    assert process.communicate(timeout=60)[1] == b""


def test_a_mistake_of_ours_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(COMMANDS["info"], "run", broken)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"sam2lab {__version__}\n"


def test_the_console_script_is_the_same_command_line(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert resolve_name(project["scripts"]["sam2lab"]) is main


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_example_in_the_help_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(*command.split(), "--help") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80

    for module in COMMANDS.values():
        monkeypatch.setattr(module, "run", lambda arguments: None)
    examples = re.findall(rf"^  {PROG} (.+?)(?:   .*)?$", text, flags=re.MULTILINE)
    assert examples
    for example in examples:
        assert run(*shlex.split(example)) == 0, example
