"""What every notebook keeps to, so that all can be read and run alike."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
LONGEST_HELPER = 5

pytestmark = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def test_is_a_valid_notebook_without_outputs(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert set(cell.metadata) <= {"tags"}, "no trace of a run"


def test_begins_with_a_title_and_its_parameters(notebook: Path) -> None:
    title, parameters = nbformat.read(notebook, as_version=4).cells[:2]
    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    assert parameters.metadata.tags == ["parameters"]
    assert all(isinstance(each, ast.Assign) for each in ast.parse(parameters.source).body)


def test_imports_in_one_cell_what_it_uses(notebook: Path) -> None:
    importing = {
        number
        for number, cell in enumerate(code_cells(notebook))
        for node in ast.walk(parsed(cell))
        if isinstance(node, ast.Import)
        # sam2 comes later: sam2lab.reference makes it importable where torchvision does not fit.
        or (isinstance(node, ast.ImportFrom) and not str(node.module).startswith("sam2."))
    }
    assert importing == {1}, "the cell after the parameters"


def test_has_no_long_helper(notebook: Path) -> None:
    for cell in code_cells(notebook):
        for node in ast.walk(parsed(cell)):
            if isinstance(node, ast.FunctionDef | ast.Lambda):
                assert node.end_lineno - node.lineno < LONGEST_HELPER


def test_checks_what_it_shows(notebook: Path) -> None:
    nodes = [node for cell in code_cells(notebook) for node in ast.walk(parsed(cell))]
    assert any(isinstance(node, ast.Assert) for node in nodes)


def code_cells(notebook: Path) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def parsed(cell: nbformat.NotebookNode) -> ast.Module:
    """The cell's Python, without IPython's own commands."""
    lines = ["" if line.startswith("%") else line for line in cell.source.splitlines()]
    return ast.parse("\n".join(lines))
