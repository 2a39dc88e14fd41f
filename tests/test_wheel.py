"""A built wheel, without its checkout, has all that works without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

INSTALLED = """
import sys
import sam2lab.web
from sam2lab import settings
from sam2lab.measure import devices

(folder,) = sam2lab.__path__
assert folder.startswith(sys.argv[1]), folder
segmenter = sam2lab.open_segmenter("nano")
photo = settings.data_folder() / "photos" / "cat.jpg"
(prediction,) = segmenter.segment_images(photo, boxes=[50, 50, 200, 200])
page = sam2lab.web.write_page(settings.nano_folder(), "page")
tables = len(devices.published()) > 0, len(devices.paper()) > 0
print(prediction.best.any(), *tables, page.is_file())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """The package, built."""
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(repository)
    try:
        return folder / build_wheel(str(folder))
    finally:
        os.chdir(before)


def test_it_works_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(wheel)], check=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAM2LAB")}
    environment |= {"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED, str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_it_holds_the_package_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"sam2lab"}


def test_it_stays_small(wheel: Path) -> None:
    """Thirty-two megabytes at most, of which nano's weights and graphs are most."""
    assert wheel.stat().st_size < 32e6
