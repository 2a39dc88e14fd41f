"""LiteRtEngine: the model's masks from files for phones, in every precision."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab import ImagePredictor, Segmenter, open_segmenter, settings
from sam2lab.cli import main
from sam2lab.export import check_export, device_graphs, export, litert
from sam2lab.export.device import bundles
from sam2lab.measure.agreement import Agreement, agreement
from sam2lab.measure.remembering import Remembering
from sam2lab.quantize.calibration import readable
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import Bundle, BundleError
from sam2lab.runtime.engines.protocol import Features, PromptBatch
from sam2lab.runtime.images import RGB
from tests.blocking import run_without
from tests.docs.markdown import code_blocks

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

from sam2lab.runtime.engines.litert import LiteRtEngine

SIZE = (112, 80)
POINTS = 6


@pytest.fixture(scope="module")
def nano() -> ZooModel:
    """nano as it ships: what 8 bits cost can be seen of a trained model only."""
    return zoo.load("nano", input_size=SIZE)


@pytest.fixture(scope="module")
def graphs(nano: ZooModel) -> list[tuple[str, Any]]:
    """The graphs that all these files are made of: tracing takes most of an export's time."""
    return list(device_graphs(nano, POINTS))


@pytest.fixture(scope="module")
def folders(
    nano: ZooModel, graphs: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A bundle of each precision."""
    made = tmp_path_factory.mktemp("litert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "CHECKED", 1)
        patch.setattr(litert, "graphs_of", lambda *_: dict(graphs))
        return {
            precision: export(
                nano, made / precision, precision=precision, target="litert", points=POINTS
            ).folder
            for precision in ("float", "fp16", "w8a8", "w8a8-full", "w8a16")
        }


@pytest.fixture(scope="module")
def exact(folders: dict[str, Path]) -> LiteRtEngine:
    return LiteRtEngine(folders["float"], threads=1)


@pytest.fixture(scope="module")
def original(nano: ZooModel) -> TorchEngine:
    return TorchEngine(nano)


def pixels(count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 3, *SIZE)).astype(np.float32)


def asking(objects: int, *labels: int, masks: int = 0) -> PromptBatch:
    """Prompts for some objects, each with points of these labels, and earlier logits."""
    rng = np.random.default_rng(objects)
    logits = rng.normal(0, 8, (masks, 1, SIZE[0] // 4, SIZE[1] // 4)).astype(np.float32)
    return PromptBatch(
        rng.uniform(0, 80, (objects, len(labels), 2)).astype(np.float32),
        np.tile(np.array(labels, np.float32), (objects, 1)),
        logits if masks else None,
    )


def assert_same(found: Any, wanted: Any) -> None:
    """Float32 rounding in two libraries, of values of about 1 to 10."""
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-3)


def arrays(features: Features) -> list[np.ndarray]:
    return list(vars(features).values())


def test_photos_are_encoded_as_the_original_does(exact: LiteRtEngine, original: Any) -> None:
    assert_same(arrays(exact.encode(pixels(2))), arrays(original.encode(pixels(2))))


PROMPTS = {
    "a click": asking(1, 1),
    "a box with clicks, for each of three": asking(3, 2, 3, 1, 0),
    "every slot": asking(1, 2, 3, 1, 0, 1, 1),
    "a mask alone": asking(1, masks=1),
    "clicks and one mask for both": asking(2, 1, masks=1),
    "clicks and a mask for each": asking(2, 1, 0, masks=2),
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_prompts_are_answered_as_the_original_does(
    exact: LiteRtEngine, original: Any, prompts: PromptBatch
) -> None:
    features = original.encode(pixels())
    assert_same(exact.decode(features, prompts), original.decode(features, prompts))


def test_objects_may_have_a_photo_each(exact: LiteRtEngine, original: Any) -> None:
    features = exact.encode(pixels(2))
    each = [exact.decode(one, asking(2, 1)) for one in features.split()]
    found = exact.decode(features, asking(2, 1))
    for i, answer in enumerate(each):
        np.testing.assert_array_equal(found.logits[i], answer.logits[i])


def test_one_engine_answers_several_threads(exact: LiteRtEngine) -> None:
    features = exact.encode(pixels())
    asked = [asking(1, *[1] * count) for count in (1, 2, 3, 4)]
    wanted = [exact.decode(features, prompts).logits for prompts in asked]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda prompts: exact.decode(features, prompts).logits, asked * 3)
    for ours, theirs in zip(found, wanted * 3, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def asked(exact: LiteRtEngine) -> tuple[Remembering, list[RGB]]:
    """The float files, and ten photos that nothing was calibrated with."""
    return Remembering(exact), [photo for _, photo in readable(bundles.images_for(None, 10)[1])]


# fp16 rounds weights to eleven bits, which moves single pixels of an edge. Eight bits round each
# value to one in 256: at this size, where masks are enlarged from 28x20 logits, that moves a few
# pixels in a hundred of an object. Of 60 masks on ten photos, one or two become another object's,
# so that means of other ten photos differ by 0.02 with 8 bits, and by 0.005 with 16.
LEAST = {"fp16": 0.99, "w8a8": 0.93, "w8a8-full": 0.6, "w8a16": 0.97}


@pytest.mark.parametrize(("precision", "least"), LEAST.items())
def test_a_precision_keeps_most_of_each_mask(
    folders: dict[str, Path],
    asked: tuple[Remembering, list[RGB]],
    precision: str,
    least: float,
) -> None:
    found = agreement(asked[0], LiteRtEngine(folders[precision], threads=1), asked[1])
    assert found.masks == 60
    assert found.mean_iou >= least


@pytest.mark.parametrize("precision", LEAST)
def test_a_bundle_keeps_how_far_it_agreed(folders: dict[str, Path], precision: str) -> None:
    kept = Bundle.open(folders[precision]).agreement or {}
    assert (kept[precision]["photos"], kept[precision]["masks"]) == (1, 6)
    assert kept.get("float", {"least_iou": 1})["least_iou"] >= bundles.LEAST_IOU


@pytest.mark.parametrize("precision", LEAST)
def test_a_precision_makes_files_smaller(folders: dict[str, Path], precision: str) -> None:
    size = {
        name: sum(graph.bytes for graph in Bundle.open(folder).graphs.values())
        for name, folder in folders.items()
    }
    assert size[precision] < (0.6 if precision == "fp16" else 0.4) * size["float"]


def test_agreement_compares_the_masks_that_people_see(exact: LiteRtEngine, original: Any) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    assert agreement(original, original, [photo]) == Agreement(1, 6, 1.0, 1.0)
    assert agreement(original, exact, [photo]).least_iou > 0.99


def test_a_folder_is_opened_by_name_and_predicts(folders: dict[str, Path]) -> None:
    segmenter = open_segmenter(folders["w8a8"], engine="litert", threads=1)
    predictor = ImagePredictor(segmenter)
    predictor.set_image(np.zeros((50, 70, 3), np.uint8))
    masks, scores, _ = predictor.predict(box=[10, 10, 40, 40], multimask_output=True)
    assert (masks.shape, scores.shape) == ((3, 50, 70), (3,))
    assert segmenter.engine.video is None


def test_more_points_than_slots_are_refused_with_the_way_out(exact: LiteRtEngine) -> None:
    features = exact.encode(pixels())
    with pytest.raises(ValueError, match=r"7 points.*take 6.*--target litert --points 7"):
        exact.decode(features, asking(1, *[1] * 7))


def test_a_label_that_means_an_empty_slot_is_refused(exact: LiteRtEngine) -> None:
    with pytest.raises(ValueError, match="holds -1, which is an empty slot"):
        exact.decode(exact.encode(pixels()), asking(1, -1))


def test_another_engine_says_who_reads_these_files(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"does not read the tflite files.*wanted 'litert'"):
        open_segmenter(folders["float"], engine="onnx")


def test_this_engine_says_who_reads_other_files() -> None:
    with pytest.raises(ValueError, match=r"does not read the onnx files"):
        open_segmenter(settings.nano_folder(), engine="litert")


def test_a_changed_file_is_found(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["float"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = bytearray((tmp_path / "decoder.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "decoder.tflite").write_bytes(data)
    with pytest.raises(BundleError, match=r"decoder\.tflite was changed"):
        LiteRtEngine(tmp_path)


def test_a_file_without_channels_last_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["float"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    sealed = json.loads((tmp_path / "bundle.json").read_text())
    sealed["graphs"]["encoder"]["inputs"][0]["shape"] = [1, 3, *SIZE]
    (tmp_path / "bundle.json").write_text(json.dumps(sealed))
    with pytest.raises(BundleError, match=re.escape(f"('B', {SIZE[0]}, {SIZE[1]}, 3)")):
        Bundle.open(tmp_path)


class TestExport:
    def test_masks_that_differ_are_not_written(
        self,
        nano: ZooModel,
        graphs: list[tuple[str, Any]],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(litert, "graphs_of", lambda *_: dict(graphs))
        found = Agreement(photos=1, masks=6, mean_iou=0.999, least_iou=0.9)
        monkeypatch.setattr(litert, "agreement", lambda *_: found)
        with pytest.raises(bundles.Disagreement, match=r"0\.9 at least, wanted 0\.999.*Nothing"):
            export(nano, tmp_path / "lite", target="litert")
        assert list(tmp_path.iterdir()) == []
        bundle = export(nano, tmp_path / "lite", target="litert", accept_difference=True)
        assert bundle.agreement == {"float": vars(found)}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"target": "tflite"}, "target is 'tflite'; wanted 'onnx' or 'litert'"),
            ({"target": "litert", "precision": "int8"}, "precision is 'int8'; wanted one of"),
            ({"precision": "w8a16"}, "precision is 'w8a16'; wanted one of 'float', 'fp16'"),
            ({"target": "litert", "points": 1}, "points is 1; wanted a whole number from 2 to 64"),
            ({"target": "litert", "points": "8"}, "points is '8'"),
            ({"points": 9}, "take any number of points"),
            ({"target": "litert", "precision": "fp16", "calibration": "x"}, "is for 8 bits"),
            ({"target": "litert", "precision": "w8a16", "calibration": "x"}, "no folder of images"),
        ],
    )
    def test_what_cannot_be_exported_is_refused_before_a_model_is_loaded(
        self, tmp_path: Path, arguments: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            check_export(tmp_path / "lite", **arguments)

    def test_the_command_line_writes_what_is_opened_by_its_size(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(bundles, "CHECKED", 1)
        monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
        how = ["--target", "litert", "--precision", "w8a8", "--weights", "random"]
        assert main(["export", "nano", "--input-size", "64x80", *how]) == 0
        folder = tmp_path / "nano-random-64x80-litert-w8a8"
        assert capsys.readouterr().out.strip() == str(folder)
        assert main(["info", str(folder)]) == 0
        said = capsys.readouterr().out
        assert "point_coords float32[1, 8, 2]" in said
        assert '"w8a8": {"photos": 1' in said
        monkeypatch.setattr(zoo, "load", None)
        opened = open_segmenter(
            "nano", engine="litert", precision="w8a8", weights="random", input_size=(64, 80)
        )
        assert opened.engine.bundle.folder == folder


def test_the_code_of_the_page_draws_a_mask(
    folders: dict[str, Path], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(repository / "data")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "nano-litert-w8a8").symlink_to(folders["w8a8"])
    monkeypatch.chdir(tmp_path)
    (code,) = code_blocks((repository / "docs" / "litert.md").read_text())
    exec(compile(code, "docs/litert.md", "exec"), {})
    with Image.open("mask.png") as mask:
        assert np.asarray(mask).any()


WITHOUT = """
import sam2lab
from sam2lab.runtime.requirements import MissingExtra
try:
    sam2lab.open_segmenter(sys.argv[1], engine="litert")
except MissingExtra as error:
    print(error)
"""


def test_without_the_extra_the_error_says_which(folders: dict[str, Path]) -> None:
    done = run_without(["ai_edge_litert", "ai_edge_quantizer"], WITHOUT, folders["float"])
    assert done.returncode == 0, done.stderr
    assert "pip install 'sam2lab[litert]'" in done.stdout


def test_a_bundle_is_served_without_torch(folders: dict[str, Path]) -> None:
    code = """
import numpy as np
import sam2lab
segmenter = sam2lab.open_segmenter(sys.argv[1], engine="litert")
photo = np.zeros((40, 50, 3), np.uint8)
(answer,) = segmenter.segment_images(photo, point_coordinates=[[20, 20]], point_labels=[1])
print(answer.masks.shape)
"""
    done = run_without(["torch", "sam2", "onnx"], code, folders["w8a8"])
    assert done.returncode == 0, done.stderr
    assert "(3, 40, 50)" in done.stdout


def test_segmenters_of_two_engines_can_be_compared(
    exact: LiteRtEngine, original: TorchEngine
) -> None:
    """As the clicker's engine switch does: one photo, two engines, the same mask."""
    photo = np.random.default_rng(2).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    answers = [
        Segmenter(engine).segment_images(photo, point_coordinates=[[20, 20]], point_labels=[1])[0]
        for engine in (exact, original)
    ]
    np.testing.assert_array_equal(answers[0].best, answers[1].best)
