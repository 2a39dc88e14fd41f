"""Modules of JavaScript as one text."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.web import joining
from sam2lab.web.joining import joined


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules."""
    monkeypatch.setattr(joining, "FOLDER", tmp_path)
    return tmp_path


def test_a_module_comes_once_and_after_what_it_imports(folder: Path) -> None:
    (folder / "low.js").write_text("export const one = 1;\n")
    (folder / "mid.js").write_text('import { one } from "./low.js";\nexport const two = one + 1;\n')
    (folder / "top.js").write_text(
        'import * as low from "./low.js";\n'
        'import { two as zwei } from "./mid.js";\n'
        "export function sum() {\n  return low.one + zwei;\n}\n"
    )
    assert joined("top.js") == (
        "const $low = (() => {\nconst one = 1;\n\nreturn { one };\n})();\n"
        "const $mid = (() => {\nconst { one } = $low;\nconst two = one + 1;\n\n"
        "return { two };\n})();\n"
        "const $top = (() => {\nconst low = $low;\nconst { two: zwei } = $mid;\n"
        "function sum() {\n  return low.one + zwei;\n}\n\nreturn { sum };\n})();\n"
        "export const { sum } = { ...$top };\n"
    )


def test_a_list_of_exports_at_the_end_is_read_as_onnxruntime_writes_it(folder: Path) -> None:
    (folder / "ort.js").write_text("/* by others */\nvar a=1,b=2;export{a as Session,b as env};\n")
    assert "return { Session: a, env: b };" in joined("ort.js")


@pytest.mark.parametrize(
    "line",
    [
        'import low from "./low.js";',
        'import "./low.js";',
        "export default function () {}",
        'export * from "./low.js";',
        "export let changing = 1;",
    ],
)
def test_what_cannot_be_joined_is_refused(folder: Path, line: str) -> None:
    (folder / "low.js").write_text("")
    (folder / "top.js").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"top\.js has .* cannot be joined"):
        joined("top.js")
