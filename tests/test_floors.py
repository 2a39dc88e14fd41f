"""Imports go downward only, and the floor that serves models never imports torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blocking import run_without
from tests.imports import Imports, circle, imports_of

GROUND = {"_version", "settings", "runtime"}
# The floors that each floor may import, besides itself.
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
    "web": GROUND,
    "widgets": GROUND | {"web"},
    "quantize": GROUND | {"scenes", "measure", "graphs"},
    "qnn": GROUND | {"measure", "graphs", "quantize"},
    "hub": GROUND | {"measure", "graphs", "quantize", "reference"},
    "litert": {"quantize"},
    "export": GROUND | {"graphs", "quantize", "reference", "measure", "litert", "qnn"},
    "opening": GROUND | {"reference", "graphs", "quantize", "export"},
    "train": GROUND | {"scenes", "reference", "graphs", "export"},
    "peers": GROUND | {"scenes", "measure", "reference", "quantize", "export"},
    "cli": GROUND
    | {"scenes", "measure", "reference", "graphs", "quantize", "export", "train", "peers"}
    | {"opening", "hub", "qnn", "web"},
    "__main__": {"cli"},
    "__init__": GROUND | {"opening", "widgets"},
}
HEAVY = {"torch", "torchvision", "sam2", "onnx"}
# Modules that child processes run: users of the package like any other, on top of everything.
RUN_BY_CHILDREN = {
    *("measure._fresh_steps", "measure._video_steps"),
    *("peers.catalogue.ours", "peers.video.openers"),
}
# Where the name of an imported module is computed: the table of engines names it, or the parent
# process does.
COMPUTED = {"opening", "measure._child_loop", "measure._fresh_steps"}

PACKAGE = imports_of(Path(__file__).parents[1] / "sam2lab")


def short(module: str) -> str:
    """A module's name within the package.

    >>> short("sam2lab"), short("sam2lab.runtime.store")
    ('__init__', 'runtime.store')
    """
    return module.removeprefix("sam2lab").removeprefix(".") or "__init__"


def floor(module: str) -> str:
    return short(module).partition(".")[0]


@pytest.mark.parametrize("module", PACKAGE, ids=short)
def test_a_module_imports_its_own_floor_or_those_below(module: str) -> None:
    if short(module) in RUN_BY_CHILDREN:
        return
    here = floor(module)
    assert {floor(name) for name in PACKAGE[module].own} - {here} <= BELOW[here]


@pytest.mark.parametrize("module", [m for m in PACKAGE if floor(m) in GROUND], ids=short)
def test_the_ground_floor_never_names_torch(module: str) -> None:
    assert not {name.partition(".")[0] for name in PACKAGE[module].others} & HEAVY


def test_no_module_computes_what_it_imports_but_those_that_are_listed() -> None:
    computed = {short(module) for module in PACKAGE if PACKAGE[module].computed}
    assert computed <= COMPUTED


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(PACKAGE) == []


class TestTheChecker:
    """Small made-up packages `p`, in which every spelling of an import must be found."""

    @staticmethod
    def written(folder: Path, **files: str) -> dict[str, Imports]:
        """The imports of a package with these modules, and the modules `low` and `part.deep`."""
        for name, text in {"__init__": "", "low": "", "part.__init__": "", "part.deep": ""}.items():
            files.setdefault(name, text)
        for name, text in files.items():
            path = folder / "p" / (name.removesuffix("_pyi").replace(".", "/"))
            path = path.with_suffix(".pyi" if name.endswith("_pyi") else ".py")
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        return imports_of(folder / "p")

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("import p", "p"),
            ("import p.low", "p.low"),
            ("import p.part.deep as d", "p.part.deep"),
            ("from p import low", "p.low"),
            ("from p import name", "p"),
            ("from p import *", "p"),
            ("from p.low import name", "p.low"),
            ("from p.part import deep as d", "p.part.deep"),
            ("from . import low", "p.low"),
            ("from .part import deep", "p.part.deep"),
            ("from .part.deep import name", "p.part.deep"),
            ("def f():\n    import p.low", "p.low"),
            ("class C:\n    def f(self):\n        from p import low", "p.low"),
            ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.low", "p.low"),
            ("try:\n    import p.low\nexcept ImportError:\n    pass", "p.low"),
            ("import importlib\nimportlib.import_module('p.low')", "p.low"),
            ("import importlib\nimportlib.import_module('.low', 'p')", "p.low"),
            ("from importlib import import_module\nimport_module('p.low')", "p.low"),
            ("from importlib import import_module as get\nget('p.low')", "p.low"),
            ("__import__('p.low')", "p.low"),
        ],
    )
    def test_finds_each_spelling(self, tmp_path: Path, text: str, wanted: str) -> None:
        assert self.written(tmp_path, user=text)["p.user"].own == {wanted}

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("from . import deep", "p.part.deep"),
            ("from .. import low", "p.low"),
            ("from ..low import name", "p.low"),
        ],
    )
    def test_resolves_relative_imports_in_a_folder(
        self, tmp_path: Path, text: str, wanted: str
    ) -> None:
        assert self.written(tmp_path, **{"part.user": text})["p.part.user"].own == {wanted}

    def test_takes_a_stub_for_a_part_of_its_package(self, tmp_path: Path) -> None:
        found = self.written(tmp_path, **{"part.__init___pyi": "from ..low import x as x"})
        assert found["p.part"].own == {"p.low"}

    @pytest.mark.parametrize(
        "text", ["import importlib\nimportlib.import_module(name)", "__import__(f'p.{name}')"]
    )
    def test_notes_a_name_that_is_computed(self, tmp_path: Path, text: str) -> None:
        found = self.written(tmp_path, user=text)["p.user"]
        assert (found.own, len(found.computed)) == (set(), 1)

    def test_tells_other_packages_apart(self, tmp_path: Path) -> None:
        text = "import torch.nn\nfrom pandas import read_csv\nimport pp.low"
        found = self.written(tmp_path, user=text)["p.user"]
        assert (found.own, found.others) == (set(), {"torch.nn", "pandas", "pp.low"})

    def test_finds_a_circle_that_goes_through_a_function(self, tmp_path: Path) -> None:
        files = {
            "a": "from p import b",
            "b": "def f():\n    import p.c",
            "c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import x",
            "d": "from p import a",
        }
        assert set(circle(self.written(tmp_path, **files))) == {"p.a", "p.b", "p.c"}


WITHOUT_TORCH = """
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
"""


def test_a_bundle_is_served_where_torch_cannot_be_imported(
    nano_bundle: Path, tmp_path: Path
) -> None:
    done = run_without(HEAVY, WITHOUT_TORCH, nano_bundle, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nano" in done.stdout
