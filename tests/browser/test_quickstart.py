"""The first notebook, as a user sees it."""

from __future__ import annotations

from pathlib import Path


def test_the_quickstart_runs_and_shows_its_picture(open_notebook, repository: Path) -> None:
    lab = open_notebook(repository / "notebooks" / "00_quickstart.ipynb")
    lab.run_all()
    outputs = lab.outputs()
    assert [output for output in outputs if output["output_type"] == "error"] == []

    pictures = [output["cell"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures, "no cell shows a picture"
    lab.show_cell(pictures[-1])
    lab.page.wait_for_function(
        """[...document.querySelectorAll(".jp-Notebook .jp-OutputArea img")]
            .some(picture => picture.complete && picture.naturalWidth > 100)"""
    )
    lab.screenshot("quickstart")
