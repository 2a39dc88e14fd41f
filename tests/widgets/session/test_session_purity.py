"""A session needs no widget, no browser and no torch."""

from __future__ import annotations

from pathlib import Path

from tests.blocking import run_without

WITHOUT_WIDGETS = """
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
"""
HEAVY = {"ipywidgets", "ipycanvas", "ipyevents", "IPython", "matplotlib", "torch", "sam2"}


def test_a_session_runs_where_widgets_cannot_be_imported(tmp_path: Path, repository: Path) -> None:
    done = run_without(HEAVY, WITHOUT_WIDGETS, tmp_path / "work.json", cwd=repository)
    assert done.returncode == 0, done.stderr
