"""OnnxEngine: what it runs on is no secret, and what comes in is neither copied nor changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper, parser

from sam2lab.runtime.bundle import GRAPHS, Bundle, BundleError
from sam2lab.runtime.engines import bundle_engine
from sam2lab.runtime.engines.onnx import (
    CPU,
    OnnxEngine,
    ProviderReport,
    ProviderWarning,
    without_overflow,
)
from sam2lab.runtime.engines.protocol import Engine, Features, PromptBatch
from sam2lab.runtime.video.protocol import Memories, VideoEngine
from tests.exporting import arrays_of


@pytest.fixture
def engine(onnx: OnnxEngine) -> OnnxEngine:
    return onnx


def click(x: float, y: float, mask: np.ndarray | None = None) -> PromptBatch:
    return PromptBatch(np.array([[[x, y]]], np.float32), np.ones((1, 1), np.float32), mask)


def test_it_is_an_engine(engine: OnnxEngine, nano_bundle: Path) -> None:
    assert isinstance(engine, Engine)
    assert engine.info == Bundle.open(nano_bundle).info


def test_a_bundle_does_as_well_as_its_folder(nano_bundle: Path, engine: OnnxEngine) -> None:
    assert OnnxEngine(Bundle.open(nano_bundle)).key == engine.key
    assert OnnxEngine(str(nano_bundle)).key == engine.key


@pytest.mark.parametrize("damage", ["of a weight", "of all"])
def test_a_changed_graph_is_named_whatever_onnxruntime_reports(
    nano_bundle: Path, tmp_path: Path, damage: str
) -> None:
    folder = Path(shutil.copytree(nano_bundle, tmp_path / "changed"))
    graph = folder / "decoder.onnx"
    content = bytearray(graph.read_bytes())
    if damage == "of a weight":  # which leaves a graph that can be opened
        content[len(content) // 2] ^= 1
    else:
        content[:] = bytes(len(content))
    graph.write_bytes(content)
    with pytest.raises(BundleError, match=r"decoder\.onnx was changed after it was sealed"):
        OnnxEngine(folder)


@pytest.mark.parametrize("wish", [None, "0"])
def test_nothing_is_reported_unless_the_user_asks_for_it(tmp_path: Path, wish: str | None) -> None:
    """onnxruntime keeps a number for the device in the user's home, and sends it with what ran."""
    said = {} if wish is None else {"ORT_DISABLE_TELEMETRY": wish}
    done = subprocess.run(
        [sys.executable, "-c", "import sam2lab, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"],
        capture_output=True,
        text=True,
        timeout=120,
        env={"HOME": str(tmp_path), "PATH": "", **said},
    )
    assert done.stdout.split() == [wish or "1"], done.stderr
    if wish is None:
        assert [*tmp_path.rglob("*")] == []


def test_features_and_answers_have_the_promised_shapes(
    engine: OnnxEngine, features: Features
) -> None:
    height, width = engine.info.embed_size
    assert features.image_embed.shape == (1, 128, height, width)
    assert features.high_res_feats_0.shape == (1, 16, 4 * height, 4 * width)
    assert features.high_res_feats_1.shape == (1, 32, 2 * height, 2 * width)
    prompts = PromptBatch(np.zeros((3, 2, 2), np.float32), np.ones((3, 2), np.float32))
    logits, scores = engine.decode(features, prompts)
    assert (logits.shape, scores.shape) == ((3, 4, *engine.info.mask_size), (3, 4))


def test_images_of_a_batch_do_not_touch_each_other(
    engine: OnnxEngine, pixels: np.ndarray, features: Features
) -> None:
    batch = engine.encode(np.concatenate([pixels, -pixels, pixels]))
    for one in (batch.split()[0], batch.split()[2]):
        for found, wanted in zip(arrays_of(one), arrays_of(features), strict=True):
            # A batch may be summed in another order: float32 rounding.
            np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.std())


def test_an_earlier_mask_counts_where_there_is_one(engine: OnnxEngine, features: Features) -> None:
    without = engine.decode(features, click(100, 100))
    mask = without.logits[:, 1:2]
    refined = engine.decode(features, click(100, 100, mask))
    assert not np.array_equal(refined.logits, without.logits)
    # A mask of zeros is a mask: not the same as none.
    zeros = engine.decode(features, click(100, 100, np.zeros_like(mask)))
    assert not np.array_equal(zeros.logits, without.logits)


def test_a_mask_needs_no_points(engine: OnnxEngine, features: Features) -> None:
    mask = engine.decode(features, click(100, 100)).logits[0][:, None]
    nothing = PromptBatch(np.zeros((4, 0, 2), np.float32), np.zeros((4, 0), np.float32), mask)
    together = engine.decode(features, nothing)
    assert len(together.logits) == 4
    for index in range(4):
        alone = PromptBatch(
            np.zeros((1, 0, 2), np.float32), np.zeros((1, 0), np.float32), mask[index : index + 1]
        )
        answer = engine.decode(features, alone).logits[0]
        # Four at once may be summed in another order: float32 rounding.
        np.testing.assert_allclose(together.logits[index], answer, atol=1e-4 * answer.std())


@pytest.mark.parametrize("masks", [None, 1, 5])
@pytest.mark.parametrize("images", [1, 5])
def test_many_prompts_are_answered_in_parts(
    engine: OnnxEngine,
    features: Features,
    monkeypatch: pytest.MonkeyPatch,
    images: int,
    masks: int | None,
) -> None:
    rng = np.random.default_rng(0)
    several = Features(
        *(
            a * rng.uniform(0.5, 1, (images, 1, 1, 1)).astype(np.float32)
            for a in arrays_of(features)
        )
    )
    mask_size = engine.info.mask_size
    prompts = PromptBatch(
        rng.uniform(0, 512, (5, 2, 2)).astype(np.float32),
        rng.integers(0, 2, (5, 2)).astype(np.float32),
        None if masks is None else rng.normal(0, 5, (masks, 1, *mask_size)).astype(np.float32),
    )
    wanted = engine.decode(several, prompts)
    run, asked = engine._run, []
    monkeypatch.setattr(
        bundle_engine.BundleEngine, "pixels_at_once", 2 * mask_size[0] * mask_size[1]
    )
    monkeypatch.setattr(
        engine, "_run", lambda *args: asked.append(len(args[2]["point_coords"])) or run(*args)
    )
    found = engine.decode(several, prompts)
    assert asked == [2, 2, 1]
    np.testing.assert_allclose(found.logits, wanted.logits, atol=1e-4 * wanted.logits.std())
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)


def test_what_is_given_may_be_read_only_and_stays_as_it_was(
    engine: OnnxEngine, pixels: np.ndarray, features: Features
) -> None:
    given = [*map(np.copy, (pixels, *arrays_of(features)))]
    before = [*map(np.copy, given)]
    for array in given:
        array.flags.writeable = False
    engine.encode(given[0])
    engine.decode(Features(*given[1:]), click(50, 60))
    for array, original in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, original)


def test_answers_own_their_memory(engine: OnnxEngine, features: Features) -> None:
    first = engine.decode(features, click(10, 10))
    kept = first.logits.copy()
    engine.decode(features, click(400, 400))
    np.testing.assert_array_equal(first.logits, kept)


def test_one_engine_serves_several_threads(
    engine: OnnxEngine, pixels: np.ndarray, features: Features
) -> None:
    clicks = [click(40 * i, 500 - 40 * i) for i in range(12)]
    alone = [engine.decode(features, prompt).logits for prompt in clicks]
    with ThreadPoolExecutor(4) as threads:
        encoding = threads.submit(engine.encode, pixels)
        together = threads.map(lambda prompt: engine.decode(features, prompt).logits, clicks)
        for found, wanted in zip(together, alone, strict=True):
            np.testing.assert_array_equal(found, wanted)
        for found, wanted in zip(arrays_of(encoding.result()), arrays_of(features), strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(3, 512, 512), (1, 3, 512, 500), (1, 1, 512, 512)])
def test_pixels_of_another_shape_are_refused(engine: OnnxEngine, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"pixels has shape .*wanted \(B, 3, 512, 512\)"):
        engine.encode(np.zeros(shape, np.float32))


def test_the_report_says_what_runs_where(engine: OnnxEngine) -> None:
    report = engine.report
    assert report.main in report.available
    assert report.main in report.asked
    assert set(report.nodes) == {"encoder", "decoder"}
    assert report.idle == ()
    assert f"nodes on {report.main}" in str(report)


def test_a_provider_that_is_not_there_is_an_error_that_names_those_that_are(
    nano_bundle: Path,
) -> None:
    with pytest.raises(ValueError, match=f"'MadeUpExecutionProvider' is not in .*{CPU}"):
        OnnxEngine(nano_bundle, providers=["MadeUpExecutionProvider", CPU])


@pytest.mark.parametrize("providers", [CPU, [], ()])
def test_providers_must_be_a_list_of_names(nano_bundle: Path, providers: object) -> None:
    with pytest.raises(ValueError, match=r"providers is .*wanted a list of names"):
        OnnxEngine(nano_bundle, providers=providers)


def test_a_provider_that_takes_nothing_is_warned_of(nano_bundle: Path) -> None:
    idler = "AzureExecutionProvider"
    if idler not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no provider that takes nothing")
    with pytest.warns(ProviderWarning, match=f"{idler} runs no part.*runs on {CPU}"):
        engine = OnnxEngine(nano_bundle, providers=[idler])
    assert engine.report.idle == (idler,)
    assert engine.report.main == CPU
    assert f"fell back to {CPU}" in str(engine.report)


def test_asking_for_the_cpu_warns_of_nothing(nano_bundle: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = OnnxEngine(nano_bundle, providers=[CPU]).report
    assert (report.asked, report.main) == ((CPU,), CPU)


def test_the_report_counts_what_fell_back() -> None:
    nodes = {"encoder": {"CUDAExecutionProvider": 280, CPU: 5}, "decoder": {CPU: 295}}
    report = ProviderReport(("CUDAExecutionProvider",), ("CUDAExecutionProvider", CPU), nodes)
    assert report.main == "CUDAExecutionProvider"
    assert report.idle == ()
    assert f"encoder: 280 of its nodes on CUDAExecutionProvider, 5 of its nodes on {CPU}" in str(
        report
    )


def test_the_key_tells_providers_and_bundles_apart(engine: OnnxEngine) -> None:
    assert engine.report.main in engine.key
    assert engine.bundle.key in engine.key


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are kept on Linux only")
def test_a_process_kept_to_some_cores_starts_no_more_threads_than_these(nano_bundle: Path) -> None:
    script = """
import os, sys, threading
import numpy as np
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
import sam2lab
before = len(os.listdir("/proc/self/task"))
sam2lab.OnnxEngine(sys.argv[1], providers=["CPUExecutionProvider"])
print(len(os.listdir("/proc/self/task")) - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(nano_bundle)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["0"], done.stderr


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_must_be_a_number_from_one_on(nano_bundle: Path, threads: object) -> None:
    with pytest.raises(ValueError, match=f"threads is {threads!r}"):
        OnnxEngine(nano_bundle, threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same_features(
    nano_bundle: Path, pixels: np.ndarray, features: Features, threads: int
) -> None:
    others = OnnxEngine(nano_bundle, threads=threads).encode(pixels)
    for found, wanted in zip(arrays_of(others), arrays_of(features), strict=True):
        # Sums are divided between threads: float32 rounding.
        np.testing.assert_allclose(found, wanted, atol=1e-4 * wanted.std())


class TestMemory:
    """The graphs that follow objects are opened and verified when they are first used."""

    @staticmethod
    def remember(engine: OnnxEngine, features: Features) -> np.ndarray:
        mask = np.zeros((1, 1, *engine.info.mask_size), np.float32)
        return engine.remember(features, mask, np.ones((1, 1), np.float32), False)

    def test_it_follows_objects(self, engine: OnnxEngine) -> None:
        assert isinstance(engine, VideoEngine)
        assert engine.video == engine.bundle.video

    def test_objects_are_answered_as_decode_does(
        self, engine: OnnxEngine, features: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prompts = PromptBatch(np.full((3, 2, 2), 90, np.float32), np.ones((3, 2), np.float32))
        wanted = engine.decode(features, prompts)
        whole = engine.decode_objects(features, prompts)
        assert np.array_equal(whole.logits, wanted.logits)
        assert np.array_equal(whole.scores, wanted.scores)
        monkeypatch.setattr(bundle_engine.BundleEngine, "pixels_at_once", 1)
        parts = engine.decode_objects(features, prompts)
        assert (parts.object_scores.shape, parts.pointers.shape) == ((3, 1), (3, 4, 128))
        np.testing.assert_allclose(parts.pointers, whole.pointers, atol=1e-5)

    def test_many_objects_look_at_their_memories_in_parts(
        self, engine: OnnxEngine, features: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rng = np.random.default_rng(0)
        memories = Memories(
            rng.standard_normal((3, 1, 32 * 32, 32)).astype(np.float32),
            np.array([[6], [0], [1]]),
            rng.standard_normal((3, 2, 128)).astype(np.float32),
            np.ones((3, 2), np.float32),
        )
        whole = engine.condition(features, memories).image_embed
        monkeypatch.setattr(bundle_engine, "_TOKENS_AT_ONCE", 1)
        parts = engine.condition(features, memories).image_embed
        np.testing.assert_allclose(parts, whole, atol=1e-5)

    def test_a_changed_graph_is_found_when_it_is_used(
        self, nano_bundle: Path, features: Features, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(nano_bundle, tmp_path / "changed"))
        graph = folder / "memory_encoder.onnx"
        graph.write_bytes(bytes(graph.stat().st_size))
        engine = OnnxEngine(folder)
        engine.decode(features, click(100, 100))
        with pytest.raises(BundleError, match=r"memory_encoder\.onnx was changed"):
            self.remember(engine, features)

    def test_an_older_bundle_says_that_it_must_be_exported_anew(
        self, nano_bundle: Path, features: Features
    ) -> None:
        whole = Bundle.open(nano_bundle)
        engine = OnnxEngine(
            replace(whole, video=None, graphs={name: whole.graphs[name] for name in GRAPHS})
        )
        assert engine.video is None
        with pytest.raises(BundleError, match=r"no graphs of the memory\. Export it anew"):
            self.remember(engine, features)


def test_products_of_8_bits_do_not_overflow_on_any_processor() -> None:
    # 255 * 127 twice is more than 16 bits hold, where processors without VNNI add them.
    size = 64
    model = parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 20]>
        largest (float[1, {size}] x) => (float[1, {size}] y)
        <float one = {{0.00392156862745098}}, uint8 zero = {{0}},
         float step = {{1.0}}, int8 middle = {{0}}>
        {{
            quantized = QuantizeLinear(x, one, zero)
            left = DequantizeLinear(quantized, one, zero)
            right = DequantizeLinear(weights, step, middle)
            product = MatMul(left, right)
            y = Identity(product)
        }}"""
    )
    weights = np.full((size, size), 127, np.int8)
    model.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), without_overflow(onnxruntime.SessionOptions())
    )
    (found,) = session.run(None, {"x": np.ones((1, size), np.float32)})
    np.testing.assert_allclose(found, 127 * size, rtol=1e-5)
