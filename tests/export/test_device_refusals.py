"""Files for devices are refused by name where they cannot be made or used; none is left half."""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sam2lab import hub, open_segmenter
from sam2lab.cli import main
from sam2lab.export import check_export, export, litert, qnn
from sam2lab.export.device.bundles import Disagreement
from sam2lab.hub.errors import HubError
from sam2lab.measure.agreement import Agreement
from sam2lab.qnn import QnnEmulator, QnnError, Report
from sam2lab.reference import zoo
from sam2lab.runtime import requirements
from sam2lab.runtime.bundle import Bundle, BundleError
from sam2lab.runtime.engines.litert import LiteRtEngine
from sam2lab.runtime.engines.protocol import PromptBatch
from sam2lab.runtime.requirements import MissingExtra, missing
from tests.hub import toy_bundle

pytestmark = pytest.mark.skipif(
    missing(["ai_edge_litert", "onnxruntime_qnn"]) != [],
    reason="pip install 'sam2lab[litert,qnn]', whose wheels are for Linux and Windows",
)

S24 = "Snapdragon 8 Gen 3"
LITERT, QNN = {"target": "litert"}, {"target": "qnn"}

BEFORE_A_MODEL_IS_LOADED: dict[str, tuple[dict[str, Any], str]] = {
    "another target": ({"target": "hexagon"}, "target is 'hexagon'; wanted 'onnx' or"),
    "no target": ({"target": None}, "target is None; wanted"),
    "litert, precision": (LITERT | {"precision": "int4"}, "precision is 'int4'; wanted one of"),
    "qnn, precision": (QNN | {"precision": "fp16"}, "is 'fp16'; wanted one of 'float', 'w8a8', 'w"),
    "qnn, litert's precision": (QNN | {"precision": "w8a8-full"}, "precision is 'w8a8-full'"),
    "litert, one point": (LITERT | {"points": 1}, "points is 1; wanted a whole number from 2 to"),
    "qnn, many points": (QNN | {"points": 65}, "points is 65; wanted a whole number from 2 to 64"),
    "litert, half a point": (LITERT | {"points": 2.5}, "points is 2.5"),
    "qnn, points in words": (QNN | {"points": "eight"}, "points is 'eight'"),
    "qnn, no chip of theirs": (QNN | {"chip": "A17 Pro"}, "chip is 'A17 Pro'; wanted one of"),
    "qnn, a slip": (QNN | {"chip": "Snapdragon 8 Gen 33"}, "near to it: 'Snapdragon 8 Gen 3'"),
    "qnn, a number": (QNN | {"chip": 8650}, "chip is 8650; wanted one of"),
    "qnn, a chip without float": (QNN | {"chip": "QCS6490"}, "NPU does not compute in float"),
    "litert, a chip": (LITERT | {"chip": S24}, "chip is for target='qnn', not 'litert'"),
    "onnx, a chip": ({"chip": S24}, "chip is for target='qnn', not 'onnx'"),
    "litert, islands": (LITERT | {"allow_cpu": True}, "allow_cpu is for target='qnn'"),
    "onnx, points": ({"points": 9}, "files for ONNX Runtime take any number of points"),
    "litert, a recipe": (LITERT | {"recipe": object()}, "recipe is for target='onnx'"),
    "litert, images of no use": (LITERT | {"calibration": "."}, "calibration is for 8 bits"),
    "qnn, images of no use": (QNN | {"calibration": "."}, "calibration is for 'w8a8' and 'w8a16'"),
    "litert, no images": (
        LITERT | {"precision": "w8a16", "calibration": "no/photos"},
        "calibration is 'no/photos', which is no folder of images",
    ),
    "qnn, no images": (
        QNN | {"precision": "w8a8", "calibration": "empty"},
        "calibration is 'empty', which holds no image",
    ),
    "qnn, one image": (
        QNN | {"precision": "w8a8", "calibration": np.zeros((8, 8, 3), np.uint8)},
        "calibration is one image",
    ),
    "litert, a file in place of the folder": (LITERT | {"folder": "file"}, "is a file; choose"),
    "qnn, a folder below a file": (QNN | {"folder": "file/out"}, "is a file; choose another place"),
    "litert, a folder that is taken": (LITERT | {"folder": "taken"}, "already has bundle.json and"),
    "qnn, a folder with half of them": (QNN | {"folder": "half"}, "already has decoder.bin; del"),
    "qnn, no folder": (QNN | {"folder": None}, "folder is None; wanted a path"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with what is in the way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for folder in ("empty", "taken", "half"):
        (tmp_path / folder).mkdir()
    for name in ("bundle.json", "encoder.tflite"):
        (tmp_path / "taken" / name).touch()
    (tmp_path / "half" / "decoder.bin").touch()
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    ("asked", "said"), BEFORE_A_MODEL_IS_LOADED.values(), ids=BEFORE_A_MODEL_IS_LOADED
)
def test_what_cannot_be_made_is_refused_before_a_model_is_loaded(
    place: Path, asked: dict[str, Any], said: str
) -> None:
    before = files(place)
    with pytest.raises(ValueError, match=re.escape(said)):
        check_export(**{"folder": "out"} | asked)
    assert files(place) == before


@pytest.mark.parametrize("target", ["litert", "qnn"])
def test_a_folder_that_may_not_be_written_into_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    # Nothing is forbidden to root, as which containers run tests.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match="you may not write into"):
        check_export("out", target=target)


@pytest.mark.parametrize(
    ("target", "module"), [("litert", "ai_edge_quantizer"), ("qnn", "onnxruntime_qnn")]
)
def test_a_missing_extra_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: str
) -> None:
    monkeypatch.setattr(requirements, "_is_here", lambda name: name != module)
    with pytest.raises(MissingExtra, match=rf"needs {module}.*pip install 'sam2lab\[{target}\]'"):
        check_export("out", target=target)


@pytest.fixture(scope="module")
def nano() -> zoo.ZooModel:
    return zoo.load("nano", weights="random", input_size=(64, 96))


@pytest.mark.parametrize("target", ["litert", "qnn"])
@pytest.mark.parametrize(
    ("input_size", "said"),
    [((63, 64), "multiples of 16"), ((48, 64), "at least 64"), ((64,), "input_size is (64,)")],
)
def test_sizes_that_no_model_takes_are_refused(
    place: Path, nano: zoo.ZooModel, target: str, input_size: tuple[int, ...], said: str
) -> None:
    before = files(place)
    with pytest.raises(ValueError, match=re.escape(said)):
        export(nano, "out", input_size, target=target)
    assert files(place) == before


def test_what_is_no_model_is_refused(place: Path) -> None:
    with pytest.raises(ValueError, match="model is 'nano'; wanted what zoo"):
        export("nano", "out", target="qnn")  # type: ignore[arg-type]


@pytest.fixture
def made_of_toys(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exports of small graphs that nothing is asked about; where they may leave no file."""
    scratch = place / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    for target in (litert, qnn):
        graphs = toy_bundle.device_graphs()
        monkeypatch.setattr(target, "graphs_of", lambda *_, graphs=graphs: graphs)
        monkeypatch.setattr(target, "images_for", lambda _: ([], []))
        monkeypatch.setattr(target, "readable", lambda _: [])
        monkeypatch.setattr(target, "agreement", lambda *_: Agreement(1, 6, 1.0, 1.0))
    monkeypatch.setattr(qnn, "to_dlc", compiled)
    monkeypatch.setattr(qnn, "to_context", compiled)
    return place


def compiled(_: onnx.ModelProto, *to: Any) -> Report:
    """Write something at once, in place of QNN's compiler."""
    path = next(each for each in to if isinstance(each, Path))
    path.write_bytes(b"compiled")
    return Report(1, {}, 0.0, 0, 8)


def breaking(error: BaseException) -> Callable[..., Any]:
    """A function that writes half of a file and fails, whether it compiles or only writes."""

    def half(first: Any, *others: Any) -> Any:
        path = next(each for each in (first, *others) if isinstance(each, Path))
        with path.open("wb") as file:
            file.write(b"half")
        raise error

    return half


FULL = OSError(errno.ENOSPC, "No space left on device")
WRITERS = {
    "litert": ({"target": "litert"}, "pathlib.Path.write_bytes"),
    "qnn": ({"target": "qnn"}, "sam2lab.export.qnn.to_dlc"),
    "qnn for a chip": ({"target": "qnn", "chip": S24}, "sam2lab.export.qnn.to_context"),
}


@pytest.mark.parametrize(("how", "writer"), WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), QnnError("-9")], ids=repr)
@pytest.mark.parametrize("sealing", [False, True])
@pytest.mark.usefixtures("made_of_toys")
def test_what_fails_while_it_is_written_leaves_nothing(
    place: Path,
    nano: zoo.ZooModel,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    writer: str,
    error: BaseException,
    sealing: bool,
) -> None:
    before = files(place)

    def fail(bundle: Bundle) -> None:
        if bundle.folder.parent == place:
            assert len(list(bundle.folder.iterdir())) == 2, "both files are there"
            raise error

    if sealing:
        monkeypatch.setattr(Bundle, "seal", fail)
    else:
        monkeypatch.setattr(writer, breaking(error))
    with pytest.raises(type(error)):
        export(nano, "out", **how)
    assert files(place) == before


@pytest.mark.usefixtures("made_of_toys")
def test_the_command_line_says_it_in_one_line(
    place: Path,
    nano: zoo.ZooModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = files(place)
    typed = ["export", "nano", "--target", "qnn", "--out", "out", "--chip"]
    assert main([*typed, "Snapdragon 9"]) == 2
    assert "wanted one of 'Snapdragon 888'" in capsys.readouterr().err
    monkeypatch.setattr(zoo, "load", lambda *_, **__: nano)
    monkeypatch.setattr(qnn, "to_context", breaking(QnnError("QNN's compiler failed")))
    assert main([*typed, S24]) == 1
    assert "QNN's compiler failed" in capsys.readouterr().err.splitlines()[-1]
    assert files(place) == before


@pytest.mark.parametrize("target", ["litert", "qnn"])
@pytest.mark.usefixtures("made_of_toys")
def test_files_that_give_other_masks_are_not_written_unless_asked_for(
    place: Path, nano: zoo.ZooModel, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    module = {"litert": litert, "qnn": qnn}[target]
    monkeypatch.setattr(module, "agreement", lambda *_: Agreement(1, 6, 0.9991, 0.9))
    before = files(place)
    with pytest.raises(Disagreement, match=r"0\.9 at least, wanted 0\.999.*Nothing was written"):
        export(nano, "out", target=target)
    assert files(place) == before
    bundle = export(nano, "out", target=target, accept_difference=True)
    assert bundle.agreement is not None
    assert bundle.agreement["float"]["least_iou"] == 0.9


@pytest.fixture
def toys(tmp_path: Path) -> dict[str, Bundle]:
    return {
        kind: toy_bundle.write(tmp_path / kind, kind) for kind in ("onnx", "tflite", "dlc", "bin")
    }


PIXELS = np.zeros((1, 3, *toy_bundle.INPUT_SIZE), np.float32)


@pytest.mark.parametrize("kind", ["tflite", "dlc", "bin"])
@pytest.mark.parametrize("harm", ["changed", "cut off", "missing", "of no size"])
def test_files_that_are_not_whole_are_refused(
    toys: dict[str, Bundle], kind: str, harm: str
) -> None:
    bundle = toys[kind]
    path = bundle.path("decoder")
    data = bytearray(path.read_bytes())
    if harm == "changed":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut off": data[:-1], "of no size": b""}.get(harm, bytes(data)))
    if harm == "missing":
        path.unlink()
    with pytest.raises(BundleError, match=rf"decoder\.{kind}"):
        Bundle.open(bundle.folder)
    with pytest.raises(BundleError, match=rf"decoder\.{kind}"):
        hub.submit(bundle.folder, "Samsung Galaxy S24")


OPENERS: dict[str, tuple[str, Callable[[Bundle], Any], str]] = {
    "litert on onnx": (
        "onnx",
        lambda b: open_segmenter(b.folder, engine="litert"),
        "read the onnx files",
    ),
    "litert on dlc": (
        "dlc",
        lambda b: open_segmenter(b.folder, engine="litert"),
        "read the dlc files",
    ),
    "onnx on tflite": (
        "tflite",
        lambda b: open_segmenter(b.folder, engine="onnx"),
        "the tflite files",
    ),
    "onnx on bin": ("bin", lambda b: open_segmenter(b.folder), "read the bin files"),
    "emulator on dlc": ("dlc", lambda b: QnnEmulator(b).encode(PIXELS), "exported for a chip"),
    "emulator on tflite": ("tflite", lambda b: QnnEmulator(b).encode(PIXELS), "target='qnn', chip"),
    "pixels of another size": (
        "tflite",
        lambda b: LiteRtEngine(b).encode(np.zeros((1, 3, 64, 64), np.float32)),
        "pixels has shape (1, 3, 64, 64); wanted (B, 3, 64, 96)",
    ),
    "no threads": ("tflite", lambda b: LiteRtEngine(b, threads=0), "threads is 0"),
    "more points than slots": ("tflite", lambda b: ask(b, 5, 1), "--points 5"),
    "an empty slot": ("tflite", lambda b: ask(b, 2, -1), "point_labels holds -1"),
}


def ask(bundle: Bundle, points: int, label: int) -> None:
    engine = LiteRtEngine(bundle)
    coordinates = np.zeros((1, points, 2), np.float32)
    labels = np.full((1, points), label, np.float32)
    engine.decode(engine.encode(PIXELS), PromptBatch(coordinates, labels))


@pytest.mark.parametrize(("kind", "use", "said"), OPENERS.values(), ids=OPENERS)
def test_files_are_refused_where_they_do_not_belong(
    toys: dict[str, Bundle], kind: str, use: Callable[[Bundle], Any], said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        use(toys[kind])


SUBMITTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "files for one chip": ("bin", {}, "of .bin files; wanted one of .onnx files"),
    "another runtime than the files'": ("tflite", {"runtime": "qnn_dlc"}, "of runtime 'tflite'"),
    "another precision": ("dlc", {"precision": "w8a8"}, "of precision 'float', which run as they"),
    "an unknown runtime": ("onnx", {"runtime": "qnn"}, "runtime is 'qnn'; wanted one of tflite"),
    "an unknown precision": ("onnx", {"precision": "w4"}, "precision is 'w4'; wanted one of float"),
    "no bundle": ("onnx", {"bundle": "no/bundle"}, "is not a folder"),
    "no photo": ("onnx", {"photos": ["no.jpg"]}, "photos is 'no.jpg': no such file"),
}


@pytest.mark.parametrize(("kind", "asked", "said"), SUBMITTED.values(), ids=SUBMITTED)
def test_what_cannot_be_submitted_is_refused_before_the_client_is_looked_for(
    toys: dict[str, Bundle],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    asked: dict[str, Any],
    said: str,
) -> None:
    monkeypatch.setenv("SAM2LAB_MODELS", str(place / "models"))
    with pytest.raises(ValueError, match=re.escape(said)):
        hub.submit(**{"bundle": toys[kind].folder, "device": "Samsung Galaxy S24"} | asked)
    assert not (place / "models").exists()


def test_a_quantised_bundle_of_onnx_files_is_not_compiled_again(tmp_path: Path) -> None:
    eight = toy_bundle.write(tmp_path / "eight", precision="w8a8")
    with pytest.raises(ValueError, match="of precision w8a8; wanted one of precision float"):
        hub.submit(eight.folder, "Samsung Galaxy S24")


def test_a_client_that_is_not_there_is_named(
    toys: dict[str, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAM2LAB_QAI_HUB", "no/python")
    with pytest.raises(HubError, match="'no/python', which is no file"):
        hub.submit(toys["tflite"].folder, "Samsung Galaxy S24", folder=tmp_path / "work")
    assert not (tmp_path / "work").exists()
