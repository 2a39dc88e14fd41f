"""OpenVinoEngine: the same answers as by onnxruntime, but for what bfloat16 rounds."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam2lab import open_segmenter, settings
from sam2lab.cli import main
from sam2lab.measure import parity
from sam2lab.measure.devices import placement
from sam2lab.measure.machine import engine_facts
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines import openvino
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.openvino import OpenVinoEngine
from sam2lab.runtime.engines.protocol import Engine, Features, PromptBatch
from sam2lab.runtime.video.protocol import Memories
from tests.blocking import TORCH, run_without
from tests.exporting import Export, arrays_of

pytestmark = pytest.mark.skipif(
    openvino.openvino is None,
    reason="openvino is not installed: pip install 'sam2lab[openvino]'",
)

# Two libraries sum in different orders: float32 rounding, in standard deviations of a tensor.
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def exact(nano_bundle: Path) -> OpenVinoEngine:
    return OpenVinoEngine(nano_bundle, "f32")


@pytest.fixture(scope="module")
def preferred(nano_bundle: Path) -> OpenVinoEngine:
    return OpenVinoEngine(nano_bundle)


def asking(objects: int, *labels: int, mask: np.ndarray | None = None) -> PromptBatch:
    """Prompts for some objects, each with points of these labels."""
    rng = np.random.default_rng(objects)
    return PromptBatch(
        rng.uniform(0, 512, (objects, len(labels), 2)).astype(np.float32),
        np.tile(np.array(labels, np.float32), (objects, 1)),
        mask,
    )


def earlier(count: int) -> np.ndarray:
    """Logits (count, 1, 128, 128) as of earlier answers."""
    return np.random.default_rng(7).normal(0, 8, (count, 1, 128, 128)).astype(np.float32)


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, atol=ROUNDING * wanted.std(), rtol=0)


def test_it_is_an_engine(exact: OpenVinoEngine, onnx: OnnxEngine) -> None:
    assert isinstance(exact, Engine)
    assert exact.info == onnx.info


@pytest.mark.parametrize("count", [1, 3])
def test_in_float32_it_encodes_as_onnxruntime_does(
    exact: OpenVinoEngine, onnx: OnnxEngine, pixels: np.ndarray, count: int
) -> None:
    batch = np.concatenate([pixels, -pixels, pixels[:, ::-1]][:count])
    found, wanted = exact.encode(batch), onnx.encode(batch)
    for one, other in zip(arrays_of(found), arrays_of(wanted), strict=True):
        assert_same(one, other)


QUESTIONS = {
    "a click": asking(1, 1),
    "clicks for and against": asking(1, 1, 0, 0, 1, 0),
    "a box": asking(1, 2, 3),
    "a box and a click": asking(1, 2, 3, 0),
    "a click and a mask": asking(1, 1, mask=earlier(1)),
    "a mask alone": asking(1, mask=earlier(1)),
    "four objects": asking(4, 1, 0),
    "four boxes, one mask": asking(4, 2, 3, mask=earlier(1)),
    "a mask for each of three": asking(3, mask=earlier(3)),
    "a click again": asking(1, 1),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_it_decodes_as_onnxruntime_does(
    preferred: OpenVinoEngine, onnx: OnnxEngine, features: Features, name: str
) -> None:
    found, wanted = (engine.decode(features, QUESTIONS[name]) for engine in (preferred, onnx))
    assert_same(found.logits, wanted.logits)
    # A score is a probability of which a millionth means nothing.
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)


@pytest.mark.parametrize(("objects", "pointers"), [(1, 0), (2, 3)])
def test_it_remembers_as_onnxruntime_does(
    onnx: OnnxEngine,
    exact: OpenVinoEngine,
    preferred: OpenVinoEngine,
    features: Features,
    objects: int,
    pointers: int,
) -> None:
    rng = np.random.default_rng(pointers)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    masks, scores = 10 * draw(objects, 1, *onnx.info.mask_size), draw(objects, 1)
    wanted = onnx.remember(features, masks, scores, True)
    assert_same(exact.remember(features, masks, scores, True), wanted)
    rounded = preferred.remember(features, masks, scores, True)
    # bfloat16 has 8 significant bits: an error of 2 ** -9 in each of many products. A few pixels of
    # these masks of noise are so near to 0 that it changes their side.
    assert ((rounded - wanted) ** 2).mean() < (0.03 * wanted.std()) ** 2
    memories = Memories(
        np.stack([wanted, draw(*wanted.shape)], axis=1),
        np.array([[6, 0]] * objects),
        draw(objects, pointers, 128),
        draw(objects, pointers),
    )
    wanted = onnx.condition(features, memories).image_embed
    assert_same(exact.condition(features, memories).image_embed, wanted)
    rounded = preferred.condition(features, memories).image_embed
    # The same error, without a threshold.
    assert ((rounded - wanted) ** 2).mean() < (0.01 * wanted.std()) ** 2


def test_features_may_lie_in_memory_as_they_like(exact: OpenVinoEngine, features: Features) -> None:
    elsewhere = Features(*map(np.asfortranarray, arrays_of(features)))
    found, wanted = (exact.decode(given, asking(2, 1)) for given in (elsewhere, features))
    np.testing.assert_array_equal(found.logits, wanted.logits)


def test_in_bfloat16_it_means_the_same_masks(repository: Path) -> None:
    trained = settings.nano_folder()
    quick = OpenVinoEngine(trained)
    if quick.encoder_precision == "f32":
        pytest.skip("this processor prefers float32")
    photos = [str(repository / "data" / "photos" / name) for name in ("cat.jpg", "coffee.jpg")]
    masks = parity.compare_masks(OnnxEngine(trained), quick, photos)
    # With 8 significant bits little more than an outline moves. No bound for the worst of 36: a
    # click that may mean two things may tip over.
    assert masks["iou"].mean() > 0.98
    assert (masks["iou"] < 1).any(), "no bit was rounded"


def test_where_attention_has_no_kernel_it_stays_in_bands(
    nano_bundle: Path, exact: OpenVinoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino, "_kinds", lambda compiled: {"Softmax"})
    banded = OpenVinoEngine(nano_bundle, "f32")
    nodes, joined = (sum(one.report.nodes["encoder"].values()) for one in (banded, exact))
    assert nodes > joined


def test_only_the_encoder_is_rounded(preferred: OpenVinoEngine, exact: OpenVinoEngine) -> None:
    assert exact.encoder_precision == "f32"
    assert "CPU f32" in preferred.report.nodes["decoder"]
    for nodes in (*exact.report.nodes.values(), preferred.report.nodes["decoder"]):
        assert not {"CPU bf16", "CPU f16"} & set(nodes)


def test_the_report_says_in_what_the_encoder_works(preferred: OpenVinoEngine) -> None:
    format_of_most = f"CPU {preferred.encoder_precision}"
    assert preferred.report.asked == (format_of_most,)
    assert preferred.report.idle == ()
    assert preferred.report.main == format_of_most
    assert f"nodes on {format_of_most}" in str(preferred.report)


def test_measurements_say_in_what_it_worked(preferred: OpenVinoEngine) -> None:
    format_of_most = f"CPU {preferred.encoder_precision}"
    assert f"nodes on {format_of_most}" in str(engine_facts(preferred)["providers"])
    assert placement(preferred, "encoder")[0] == format_of_most


def test_the_key_tells_precisions_and_libraries_apart(
    preferred: OpenVinoEngine, exact: OpenVinoEngine, onnx: OnnxEngine
) -> None:
    assert exact.key == f"openvino:f32:{onnx.bundle.key}"
    assert preferred.key == f"openvino:{preferred.encoder_precision}:{onnx.bundle.key}"
    assert onnx.key not in (exact.key, preferred.key)


def test_what_is_given_may_be_read_only_and_stays_as_it_was(
    exact: OpenVinoEngine, pixels: np.ndarray, features: Features
) -> None:
    given = [*map(np.copy, (pixels, *arrays_of(features)))]
    before = [*map(np.copy, given)]
    for array in given:
        array.flags.writeable = False
    exact.encode(given[0])
    exact.decode(Features(*given[1:]), asking(1, 1))
    for array, original in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, original)


def test_answers_own_their_memory(exact: OpenVinoEngine, pixels: np.ndarray) -> None:
    first = exact.encode(pixels)
    kept = [*map(np.copy, arrays_of(first))]
    exact.encode(-pixels)
    for array, copy in zip(arrays_of(first), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_one_engine_serves_several_threads(
    exact: OpenVinoEngine, pixels: np.ndarray, features: Features
) -> None:
    asked = [asking(objects, *labels) for objects in (1, 2, 3) for labels in ((1,), (2, 3, 0))]
    alone = [exact.decode(features, prompts).logits for prompts in asked]
    embedding = exact.encode(pixels).image_embed
    with ThreadPoolExecutor(4) as threads:
        encoding = threads.submit(exact.encode, pixels)
        together = threads.map(lambda prompts: exact.decode(features, prompts).logits, asked)
        for found, wanted in zip(together, alone, strict=True):
            assert_same(found, wanted)
        assert_same(encoding.result().image_embed, embedding)


def test_one_thread_is_enough(nano_bundle: Path, exact: OpenVinoEngine, features: Features) -> None:
    single = OpenVinoEngine(nano_bundle, "f32", threads=1)
    assert single.threads == 1
    found, wanted = (engine.decode(features, asking(1, 1)) for engine in (single, exact))
    assert_same(found.logits, wanted.logits)


def test_a_bundle_in_fp16_is_served_too(exported: Export) -> None:
    bundle = exported("nano", (64, 1280), "fp16", memory=False).bundle
    pixels = np.random.default_rng(0).standard_normal((1, 3, 64, 1280)).astype(np.float32)
    found, wanted = (
        arrays_of(engine.encode(pixels))
        for engine in (OpenVinoEngine(bundle, "f32"), OnnxEngine(bundle))
    )
    for one, other in zip(found, wanted, strict=True):
        # onnxruntime rounds in places to 11 significant bits, 66 dB; many layers leave 40.
        assert ((one - other) ** 2).sum() < 1e-4 * (other**2).sum()


def test_a_bundle_in_8_bits_is_refused(nano_bundle: Path) -> None:
    exact = Bundle.open(nano_bundle)
    in_8_bits = replace(exact, info=replace(exact.info, precision="w8a8"))
    with pytest.raises(ValueError, match=r"is w8a8, .*wanted a bundle in float or fp16.*'onnx'"):
        OpenVinoEngine(in_8_bits)


def test_open_segmenter_opens_it(nano_bundle: Path, preferred: OpenVinoEngine) -> None:
    segmenter = open_segmenter(nano_bundle, engine="openvino", threads=1)
    assert isinstance(segmenter.engine, OpenVinoEngine)
    assert (segmenter.engine.key, segmenter.engine.threads) == (preferred.key, 1)
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert segmenter.segment_images(photo, boxes=[5, 5, 30, 30])[0].masks.shape == (3, 40, 60)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_must_be_a_number_from_one_on(nano_bundle: Path, threads: object) -> None:
    with pytest.raises(ValueError, match=f"threads is {threads!r}"):
        OpenVinoEngine(nano_bundle, threads=threads)


@pytest.mark.parametrize("precision", ["bf16", None, "float"])
def test_no_other_precision_is_taken(nano_bundle: Path, precision: object) -> None:
    with pytest.raises(ValueError, match=r"encoder_precision is .*wanted 'preferred' or 'f32'"):
        OpenVinoEngine(nano_bundle, precision)


def test_where_it_is_missing_the_extra_is_named(
    nano_bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openvino, "openvino", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sam2lab\[openvino\]'.*'onnx'"):
        open_segmenter(nano_bundle, engine="openvino")
    assert main(["accuracy", str(nano_bundle), "--engine", "openvino"]) == 1
    said = capsys.readouterr().err
    assert said.count("pip install") == 1
    assert "sam2lab[openvino]" in said


ALONE = """
import sam2lab
assert "openvino" not in sys.modules, "who does not ask for it waits for it too"
import numpy as np
segmenter = sam2lab.open_segmenter(sys.argv[1], engine="openvino")
photo = np.zeros((70, 90, 3), np.uint8)
(prediction,) = segmenter.segment_images(photo, boxes=[10, 10, 60, 50])
assert prediction.masks.shape == (3, 70, 90)
assert "openvino_telemetry" not in sys.modules
"""


def test_it_needs_no_torch_and_reports_nothing(nano_bundle: Path, tmp_path: Path) -> None:
    alone = {"HOME": str(tmp_path), "PATH": ""}
    done = run_without([*TORCH, "onnx"], ALONE, nano_bundle, env=alone)
    assert done.returncode == 0, done.stderr
    assert [*tmp_path.rglob("*openvino*")] == [], "its telemetry keeps an identity at home"


INTERRUPTED = """
import signal, sys
from sam2lab.runtime.engines.openvino import OpenVinoEngine
signal.signal(signal.SIGINT, signal.default_int_handler)
first, second = OpenVinoEngine(sys.argv[1]), OpenVinoEngine(sys.argv[1])
del first
del second
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_heard_when_two_engines_are_gone(nano_bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(nano_bundle)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "interrupted\n", f"ended with {done.returncode}: {done.stderr}"
