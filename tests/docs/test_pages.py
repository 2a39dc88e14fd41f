"""The pages say what is true: their code runs, their links lead somewhere, their names exist."""

from __future__ import annotations

import ast
import pkgutil
import re
import runpy
from pathlib import Path

import nbformat
import pytest

from sam2lab.cli import main
from tests.conftest import REPOSITORY
from tests.docs.markdown import anchors, code_blocks, prose

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/**/*.md"),
        *REPOSITORY.glob("notebooks/*.md"),
        *REPOSITORY.glob("data/**/README.md"),
        *(REPOSITORY / "models" / name for name in ("README.md", "nano/README.md")),
        REPOSITORY / "native" / "README.md",
    ]
)
NOTEBOOKS = sorted(REPOSITORY.glob("notebooks/*.ipynb"))
LINK = re.compile(r'(?:\]\(|<img src=")([^)\s"]+)')


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page.read_text())):
        if not link.startswith(("http://", "https://")):
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_code_imports_exists(page: Path) -> None:
    """A fast look at all code, also at that which takes minutes."""
    for code in code_blocks(page.read_text()):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sam2lab"):
                exec(ast.unparse(node), {})


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/python.md",
        "docs/device.md",
        pytest.param("docs/benchmarks.md", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:nothing was found")  # nano is less sure than tiny
def test_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with what the page speaks of; nano stands in for models that are not here."""
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    (tmp_path / "photo.jpg").symlink_to(REPOSITORY / "data" / "photos" / "cat.jpg")
    (tmp_path / "models").mkdir()
    for model in ("nano", "tiny"):
        (tmp_path / "models" / model).symlink_to(REPOSITORY / "models" / "nano")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in code_blocks((REPOSITORY / page).read_text()):
        exec(compile(code, page, "exec"), names)
    if "mask.png" in (REPOSITORY / page).read_text():
        assert (tmp_path / "mask.png").is_file()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_notebooks_in_git_have_no_outputs(notebook: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.source for cell in code if cell.outputs or cell.execution_count] == []


def reference() -> str:
    return "\n".join(page.read_text() for page in REPOSITORY.glob("docs/reference/*.md"))


def test_reference_names_what_exists() -> None:
    targets = re.findall(
        r"^ *\.\. auto(?:module|class|function):: (\S+)", reference(), re.MULTILINE
    )
    assert targets
    for target in targets:
        pkgutil.resolve_name(target)


def test_reference_lists_every_package() -> None:
    listed = set(re.findall(r"^```\{modules\} (\S+)", reference(), re.MULTILINE))
    packages = {
        found.name
        for found in pkgutil.walk_packages([str(REPOSITORY / "sam2lab")], "sam2lab.")
        if found.ispkg
    }
    assert listed == packages | {"sam2lab"}


def test_the_picture_of_the_house_shows_the_imports_as_they_are() -> None:
    names = runpy.run_path(str(REPOSITORY / "docs" / "house.py"))
    drawn = (REPOSITORY / "docs" / "house.svg").read_text()
    assert drawn == names["draw"](), "run: python -m docs.house"


def test_the_picture_of_the_house_shows_every_folder() -> None:
    names = runpy.run_path(str(REPOSITORY / "docs" / "house.py"))
    folders = {folder.parent.name for folder in (REPOSITORY / "sam2lab").glob("*/__init__.py")}
    assert folders <= set(names["ROOMS"])


def test_the_changelog_says_where_things_are_now() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.+) \|$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    assert len(rows) > 100
    for _, now in rows:
        for target in now.split(", "):
            pkgutil.resolve_name(f"sam2lab.{target.strip('`')}")


def test_the_architecture_names_modules_that_exist() -> None:
    package = REPOSITORY / "sam2lab"
    page = (REPOSITORY / "docs" / "architecture.md").read_text()
    for named in re.findall(r"`([a-z_]+(?:/[a-z_]*)+)`", page):
        places = [package / named, package / f"{named}.py", REPOSITORY / named]
        places += [package / "widgets" / named, package / "widgets" / f"{named}.py"]
        assert any(place.exists() for place in places), named


def test_the_command_line_has_the_commands_of_its_page(capsys: pytest.CaptureFixture) -> None:
    page = (REPOSITORY / "docs" / "command_line.md").read_text()
    commands = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert commands == re.findall(r"^    ([a-z]+) {2,}", capsys.readouterr().out, re.MULTILINE)
