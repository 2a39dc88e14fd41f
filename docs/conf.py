"""Sphinx's settings. `make docs` builds the site, with warnings as errors.

The source folder is the repository itself, so that links between its Markdown files work on the
site as they do on a code host.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import sam2lab
from sam2lab.web import write_page

REPOSITORY = Path(__file__).resolve().parents[1]
EXECUTED = REPOSITORY / "build" / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
# What stands for widgets, by class.
STILLS = {
    "Clicker": """![The clicker: a photo, masks on it, buttons](figures/clicker.webp)

*A picture. The clicker itself needs a running notebook.*""",
    "VideoClicker": "*The clicker of videos needs a running notebook.*",
}

# What stands where a page on a code host has this comment. A browser loads the frame, which is of
# 12 MB, when it is opened.
TRY = "<!-- site: open the page -->"
FRAME = """<details class="try-it">
<summary>Try it here: SAM 2 in your browser</summary>
<iframe src="{root}page/index.html" loading="lazy" allow="camera"
  title="A page that segments photos"></iframe>
<p><a href="{root}page/index.html">Open it in a window of its own</a></p>
</details>"""

logger = logging.getLogger(__name__)

project = "sam2lab"
author = copyright = "The sam2lab authors"
version = release = sam2lab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md"),
    *("notebooks/*.ipynb", "notebooks/README.md"),
    *("data/README.md", "data/photos/README.md", "data/clips/README.md"),
    *("models/README.md", "models/nano/README.md"),
    "native/README.md",
]
# Where each page's list of contents would be no use on a code host, the site adds it.
CONTENTS = {
    "README": [
        "notebooks/README",
        "docs/README",
        "docs/reference/README",
        "CONTRIBUTING",
        "CHANGELOG",
    ],
    "notebooks/README": sorted(
        f"notebooks/{file.stem}" for file in (REPOSITORY / "notebooks").glob("*.ipynb")
    ),
    "docs/README": [
        *(
            "docs/python",
            "docs/video",
            "docs/command_line",
            "docs/models",
            "docs/page",
            "docs/device",
            "docs/native",
            "docs/litert",
            "docs/qnn",
            "docs/hub",
            "docs/converting",
        ),
        *("docs/benchmarks", "docs/install", "docs/architecture", "data/README", "models/README"),
    ],
    "docs/reference/README": [
        f"docs/reference/{page}"
        for page in (
            *(
                "segmenting",
                "following",
                "clicker",
                "engines",
                "export",
                "quantize",
                "measure",
                "plots",
            ),
            *("scenes", "train", "remote", "hub", "peers"),
        )
    ],
    "data/README": ["data/photos/README", "data/clips/README"],
    "models/README": ["models/nano/README"],
    "docs/native": ["native/README"],
}

# Folders that are not even walked through.
exclude_patterns = [".venv", "build", "sam2lab", "tests"]

html_theme = "pydata_sphinx_theme"
html_title = "sam2lab"
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# These pages have no others beside them.
html_sidebars: dict[str, list[str]] = {"README": [], "CONTRIBUTING": [], "CHANGELOG": []}
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_extra_path = ["_root"]

nb_execution_mode = "off"
nb_merge_streams = True
# The scripts that draw widgets would come from another server.
nb_ipywidgets_js: dict[str, Any] = {}
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
# `name` in a docstring links to what it names, where that is documented, and is code anywhere.
default_role = "py:obj"


def setup(app: Sphinx) -> None:
    """Connect what follows."""
    app.connect("source-read", take_executed_notebook)
    app.connect("source-read", add_contents)
    app.connect("source-read", add_frame)
    app.connect("build-finished", add_page)
    app.connect("autodoc-process-docstring", read_markdown)
    app.add_directive("modules", Modules)


def take_executed_notebook(app: Sphinx, document: str, source: list[str]) -> None:
    """Show a notebook with its outputs, which git does not keep."""
    executed = EXECUTED / f"{Path(document).name}.ipynb"
    if not (document.startswith("notebooks/") and executed.is_file()):
        return
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_still(output, document) for output in cell.outputs]
    source[0] = nbformat.writes(notebook)


def _still(output: nbformat.NotebookNode, document: str) -> nbformat.NotebookNode:
    """What of an output can stand on a page: a picture of the clicker, and no progress bars."""
    if output.output_type == "error":
        logger.warning("%s ended with an error; run it again", document)
    data = output.get("data", {})
    if WIDGET in data:
        widget, _, _ = data["text/plain"].partition("(")
        output.data = {"text/markdown": STILLS.get(widget, "")}
    return output


def add_contents(app: Sphinx, document: str, source: list[str]) -> None:
    """Say which pages belong under a page."""
    if document in CONTENTS:
        listed = "\n".join(f"/{page}" for page in CONTENTS[document])
        source[0] += f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def add_frame(app: Sphinx, document: str, source: list[str]) -> None:
    """Let readers try the page that segments."""
    root = "../" * document.count("/")
    source[0] = source[0].replace(TRY, FRAME.format(root=root))


def add_page(app: Sphinx, exception: Exception | None) -> None:
    """Write the page that segments beside the others."""
    folder = Path(app.outdir) / "page"
    if exception is None and not folder.exists():
        nano = REPOSITORY / "models" / "nano"
        write_page(nano, folder, link="../models/nano/README.html")


def read_markdown(
    app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Turn what our docstrings use of Markdown into what autodoc reads."""
    text = re.sub(
        r"^( *)```(\w+)\n(.*?)\n\1```$",
        lambda found: f"{found[1]}.. code-block:: {found[2]}\n\n{_indented(found[3])}\n",
        "\n".join(lines),
        flags=re.MULTILINE | re.DOTALL,
    )
    lines[:] = re.sub(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))", _literal, text).split("\n")


def _literal(found: re.Match[str]) -> str:
    """Only a name can be a link; a letter that follows needs to be told apart."""
    literal = found[0] if re.fullmatch(r"[\w.]+", found[1]) else f"`{found[0]}`"
    return literal + ("\\ " if found[2] else "")


def _indented(code: str) -> str:
    return "\n".join(f"   {line}" if line else line for line in code.split("\n"))


class Modules(SphinxDirective):
    """A package in a line, and a list of its modules with the first line of each docstring."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        package = REPOSITORY / self.arguments[0].replace(".", "/")
        files = [file for file in sorted(package.glob("*.py")) if not file.stem.startswith("_")]
        listed = nodes.bullet_list()
        for file in files:
            listed += nodes.list_item("", self._line(f"`{file.stem}`: ", file))
        return [self._line("", package / "__init__.py"), listed]

    def _line(self, before: str, file: Path) -> nodes.paragraph:
        self.env.note_dependency(str(file))
        first = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n")[0]
        parsed, _ = self.state.inline_text(before + first, self.lineno)
        return nodes.paragraph("", "", *parsed)
