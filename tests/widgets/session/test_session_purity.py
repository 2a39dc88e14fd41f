"""A session needs no widget, no browser and no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_WIDGETS = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"{{name}} is blocked here")

sys.meta_path.insert(0, Blocked())

import numpy as np
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.formats import FORMATS
from sam2lab.widgets.formats.table import video_formats
from sam2lab.widgets.session import Session, VideoSession
from tests.runtime.fakes import FakeEngine
from tests.runtime.video.fake import FakeVideoEngine, clip

session = Session(Segmenter(FakeEngine()), np.zeros((30, 40), np.uint8))
session.add_point(10, 10)
session.save(sys.argv[1])
Session(Segmenter(FakeEngine())).load(sys.argv[1])
for name in FORMATS:
    session.export(name)
video = VideoSession(Segmenter(FakeVideoEngine()), clip(3))
video.add_point(8, 8)
list(video.propagate())
video.save(sys.argv[1])
video.load(sys.argv[1])
for row in video_formats():
    video.export(row.name)
assert not {heavy} & {{name.split(".")[0] for name in sys.modules}}
"""
HEAVY = {"ipywidgets", "ipycanvas", "ipyevents", "IPython", "matplotlib", "torch", "sam2"}


def test_a_session_runs_where_widgets_cannot_be_imported(tmp_path: Path, repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_WIDGETS.format(heavy=HEAVY), str(tmp_path / "work.json")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=repository,
    )
    assert done.returncode == 0, done.stderr
