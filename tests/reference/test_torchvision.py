"""torchvision is repaired only where it is broken, and Hydra is left as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sam2lab.reference import _torchvision


def run(script: str, folder: Path) -> str:
    """Run a script in a process of its own, since imports happen once in each."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "SAM2LAB_CACHE": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_hydra_stays_unused_and_build_sam2_still_works(tmp_path):
    script = """
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
before = dict(Singleton._instances)
from sam2lab.reference import zoo
ours = zoo.load("nano", weights="random")
assert Singleton._instances == before
assert not GlobalHydra.instance().is_initialized()

import sam2
from sam2.build_sam import build_sam2
from sam2.modeling.sam2_base import SAM2Base
theirs = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
assert isinstance(theirs, SAM2Base) and isinstance(ours.module, SAM2Base)
assert sam2.build_sam.build_sam2 is build_sam2 and sam2.modeling.sam2_base.SAM2Base is SAM2Base
"""
    run(script, tmp_path)


def test_a_user_who_set_hydra_up_keeps_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("answer: 42\n")
    script = f"""
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
initialize_config_dir({str(tmp_path)!r}, version_base="1.3")
mine = GlobalHydra.instance().hydra
from sam2lab.reference import zoo
zoo.load("nano", weights="random")
assert GlobalHydra.instance().hydra is mine
assert compose("mine").answer == 42
"""
    run(script, tmp_path)


def test_a_user_who_imported_sam2_first_keeps_it(tmp_path):
    script = """
import sam2
from hydra.core.global_hydra import GlobalHydra
theirs = GlobalHydra.instance().hydra
assert theirs is not None
from sam2lab.reference import zoo
zoo.load("nano", weights="random")
assert GlobalHydra.instance().hydra is theirs
from sam2.build_sam import build_sam2
build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
"""
    run(script, tmp_path)


def test_without_sam2_the_remedy_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "sam2")
    monkeypatch.setattr(_torchvision.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install"):
        _torchvision._enter_sam2()


def test_torchvision_can_be_imported_and_is_mended_only_if_it_has_no_operators():
    import torchvision.transforms
    from torchvision.extension import _has_ops

    assert torchvision.transforms.Resize((4, 4))(torch.zeros(3, 8, 8)).shape == (3, 4, 4)
    assert (_torchvision._library is None) == _has_ops()


def test_torchvision_is_not_imported_before_it_is_needed(tmp_path):
    script = """
import sys
from sam2lab.reference.engine import TorchEngine
assert not {"torchvision", "torch._dynamo"} & set(sys.modules)
"""
    run(script, tmp_path)


def test_looking_for_torchvision_and_not_importing_it_does_no_harm(tmp_path):
    script = """
import importlib.util
from sam2lab.reference.engine import TorchEngine
assert importlib.util.find_spec("torchvision") is not None
import torchvision.transforms
import sys
assert not any(type(finder).__name__ == "_Mending" for finder in sys.meta_path)
"""
    run(script, tmp_path)


def test_sam2_s_mask_generator_finds_an_nms_with_operators_or_without():
    from torchvision.ops.boxes import batched_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    kept = batched_nms(boxes, torch.tensor([0.5, 0.9, 0.7]), torch.zeros(3), iou_threshold=0.7)
    assert kept.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("torch_cuda", "torchvision_version", "mismatched"),
    [
        (None, "0.28.0+cu130", True),
        ("13.0", "0.28.0+cu130", False),
        (None, "0.28.0+cpu", False),
        (None, "0.28.0", False),
    ],
)
def test_only_a_cuda_torchvision_beside_a_cpu_torch_is_a_mismatch(
    monkeypatch, tmp_path, torch_cuda, torchvision_version, mismatched
):
    (tmp_path / "version.py").write_text(f"__version__ = {torchvision_version!r}\n")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(_torchvision.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(torch.version, "cuda", torch_cuda)
    assert _torchvision._is_mismatched() == mismatched


def test_where_torchvision_can_be_imported_nothing_is_declared(monkeypatch, tmp_path):
    """A torchvision that imports is left alone, whatever its version says."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(_torchvision, "_is_mismatched", lambda: True)
    monkeypatch.setattr(_torchvision, "_library", None)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    _torchvision._mend_torchvision()
    import torchvision

    assert torchvision.__loader__ is torchvision.__spec__.loader
    assert sys.modules["torchvision"].__file__ == str(tmp_path / "torchvision" / "__init__.py")
    assert _torchvision._library is None
