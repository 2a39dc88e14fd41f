"""From nothing to a mask with each contender's own classes: a script for a fresh process.

Nothing but the standard library is imported before the clock starts, and afterwards only what
the contender needs. Each way is a generator that stops after each of `STEPS`; threads and all
else are as the contender has them by itself. What is told holds the mask too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

STEPS = ("import", "open", "encode", "decode")
Job = dict[str, Any]


def main() -> None:
    """Take a job from the parent, do its steps as far as `last`, tell how long each took."""
    # Whatever a library prints must not get between the lines for the parent.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    sys.path[:] = job["path"]
    try:
        told = _work(job)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        told = {"error": f"{type(error).__name__}: {first}"}
    channel.write(json.dumps(told) + "\n")
    channel.flush()


def _work(job: Job) -> Job:
    told: Job = {}
    start = perf_counter()
    way = WAYS[job["engine"]](job)
    for step in STEPS[: 1 + STEPS.index(job["last"])]:
        before = perf_counter()
        mask = next(way)
        told[f"{step}_ms"] = 1000 * (perf_counter() - before)
    told["first_mask_ms"] = 1000 * (perf_counter() - start)
    told |= {"uses_torch": "torch" in sys.modules, "peak_mb": _peak_mb(job["home"])}
    if mask is not None:
        import numpy as np

        told["mask"] = np.packbits(mask).tobytes().hex()
    return told


def _ours(job: Job) -> Iterator[Any]:
    import numpy as np

    import sam2lab

    yield None
    if job["engine"].startswith("openvino"):
        from sam2lab.runtime.engines.openvino import OpenVinoEngine

        precision: Any = "f32" if job["engine"].endswith("f32") else "preferred"
        segmenter = sam2lab.Segmenter(OpenVinoEngine(job["folder"], precision))
    else:
        segmenter = sam2lab.open_segmenter(job["folder"])
    yield None
    for photo in _photos(np, job):
        (embedding,) = segmenter.embed_images(photo, use_embeddings_cache=False)
    yield None
    (answer,) = segmenter.segment_images(
        embeddings=embedding, point_coordinates=[job["click"]], point_labels=[1]
    )
    yield answer.best


def _samexporter(job: Job) -> Iterator[Any]:
    import numpy as np
    from samexporter.sam2_onnx import SegmentAnything2ONNX

    yield None
    model = SegmentAnything2ONNX(f"{job['folder']}/encoder.onnx", f"{job['folder']}/decoder.onnx")
    yield None
    for photo in _photos(np, job):
        # OpenCV's order of colours.
        embedding = model.encode(photo[..., ::-1].copy())
    yield None
    mark = {"type": "point", "data": job["click"], "label": 1}
    yield model.predict_masks(embedding, [mark])[0, 0] > 0


def _onnxruntime(job: Job) -> Iterator[Any]:
    original = _original(job)
    import numpy as np
    import onnxruntime

    sys.path.insert(0, str(Path(onnxruntime.__file__).parent / "transformers" / "models" / "sam2"))
    from sam2_image_onnx_predictor import SAM2ImageOnnxPredictor

    yield None
    decoder = f"{job['folder']}/decoder.onnx"
    predictor = SAM2ImageOnnxPredictor(
        original.build(job["config"], job["checkpoint"], job["side"]),
        f"{job['folder']}/encoder.onnx",
        # Also where it wants a file that answers with a single mask: those are as large.
        decoder,
        decoder,
        provider="CPUExecutionProvider",
        device="cpu",
    )
    yield None
    yield from _predict(predictor, np, job)


def _sam2_onnx(job: Job) -> Iterator[Any]:
    import numpy as np
    from sam2_onnx import OnnxImagePredictor, Sam2OnnxSession

    yield None
    predictor = OnnxImagePredictor(Sam2OnnxSession(model_dir=job["folder"]))
    yield None
    yield from _predict(predictor, np, job)


def _torch(job: Job) -> Iterator[Any]:
    original = _original(job)
    import numpy as np
    import torch
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    yield None
    model = original.build(job["config"], job["checkpoint"], job["side"])
    if job["engine"] == "compiled":
        forward = model.image_encoder.forward
        model.image_encoder.forward = torch.compile(forward, fullgraph=True, dynamic=False)
    predictor = SAM2ImagePredictor(model)
    yield None
    yield from _predict(predictor, np, job)


def _predict(predictor: Any, np: Any, job: Job) -> Iterator[Any]:
    """The two calls that SAM2ImagePredictor and its likenesses share."""
    for photo in _photos(np, job):
        predictor.set_image(photo)
    yield None
    masks, scores, _ = predictor.predict(
        point_coords=np.array([job["click"]], np.float32), point_labels=np.array([1])
    )
    yield masks[int(np.argmax(scores))] > 0


def _photos(np: Any, job: Job) -> Iterator[Any]:
    """The photo (H, W, 3), as often as it is to be encoded."""
    photo = np.load(job["photo"])
    for _ in range(job["encodes"]):
        yield photo


def _original(job: Job) -> Any:
    """`original.py` by its path: as a part of the package it would bring onnxruntime along."""
    module = _by_path(f"{job['home']}/peers/original.py")
    module.enter()
    return module


def _peak_mb(home: str) -> float:
    """The most memory held so far, in 10^6 bytes, by the measure of `sam2lab.measure.fresh`."""
    return float(_by_path(f"{home}/measure/_fresh_child.py").peak_mb())


def _by_path(file: str) -> Any:
    """A module that is not looked for in a package."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WAYS = {
    "onnx": _ours,
    "openvino": _ours,
    "openvino f32": _ours,
    "samexporter": _samexporter,
    "onnxruntime": _onnxruntime,
    "sam2-onnx": _sam2_onnx,
    "torch": _torch,
    "compiled": _torch,
}

if __name__ == "__main__":
    main()
