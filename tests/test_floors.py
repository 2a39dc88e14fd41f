"""Imports go downward only, and the floor that serves models never meets torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

GROUND = {"_version", "settings", "runtime"}
# What a floor may import from the package, besides itself.
BELOW = {
    "_version": set(),
    "settings": set(),
    "runtime": {"settings"},
    "scenes": {"settings", "runtime"},
    "jupyter": set(),
    "plots": GROUND,
    "graphs": GROUND,
    "reference": GROUND,
    "measure": GROUND | {"scenes"},
    "remote": GROUND,
    "widgets": GROUND,
    "quantize": GROUND | {"scenes", "measure", "graphs"},
    "export": GROUND | {"graphs", "quantize", "reference"},
    "opening": GROUND | {"reference", "graphs", "quantize", "export"},
    "train": GROUND | {"scenes", "reference", "graphs", "export"},
    "peers": GROUND | {"scenes", "measure", "reference", "quantize", "export"},
    "cli": GROUND
    | {"scenes", "measure", "reference", "graphs", "quantize", "export", "train", "peers"}
    | {"opening"},
    "__main__": {"cli"},
    "__init__": GROUND | {"opening", "widgets"},
}
HEAVY = {"torch", "torchvision", "sam2", "onnx"}
PACKAGE = Path(__file__).parents[1] / "sam2lab"


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Every dotted name that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively; name the package"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def floor(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_its_own_floor_or_those_below(path: Path) -> None:
    here = floor(path)
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("sam2lab.")}
    assert ours - {here} <= BELOW[here]


@pytest.mark.parametrize("path", [p for p in modules() if floor(p) in GROUND], ids=lambda p: p.name)
def test_the_ground_floor_never_names_torch(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & HEAVY


WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"{{name}} is blocked here")

sys.meta_path.insert(0, Blocked())

import numpy as np
import sam2lab
from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.store import EmbeddingStore

folder, scratch = sys.argv[1:]
photo = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
cache = EmbeddingCache(store=EmbeddingStore(scratch))
opened = sam2lab.open_segmenter(folder)
segmenter = sam2lab.Segmenter(
    opened.engine, embeddings_cache=cache, max_hole_area=4, max_sprinkle_area=4
)
for count in (1, 2):
    (prediction,) = segmenter.segment_images(
        photo,
        point_coordinates=[[45, 35], [20, 20]][:count],
        point_labels=[1, 0][:count],
        load_from_mask_input_cache=True,
        save_to_mask_input_cache=True,
    )
    assert prediction.masks.shape == (3, 70, 90)
predictor = sam2lab.ImagePredictor(segmenter)
predictor.set_image(photo)
masks, scores, logits = predictor.predict(box=[10, 10, 60, 50], multimask_output=False)
assert masks.shape == (1, 70, 90)
everything = sam2lab.AutomaticMaskGenerator(
    segmenter, 2, pred_iou_thresh=0, stability_score_thresh=0, min_mask_region_area=2
)
assert everything.generate(photo)[0]["segmentation"].shape == (70, 90)
print(sam2lab.Bundle.open(folder).describe())
assert not {heavy} & set(sys.modules)
"""


def test_a_bundle_is_served_where_torch_cannot_be_imported(
    nano_bundle: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH.format(heavy=HEAVY), str(nano_bundle), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "nano" in done.stdout
