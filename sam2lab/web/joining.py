"""Joins JavaScript modules into one text, for places where a module cannot load its neighbours.

A page that was opened from disk may not load modules, and neither may a worker that a notebook
starts. Each module becomes a function of its own, so that names never clash. This is no bundler:
it knows only the few forms of `import` and `export` that the modules of this folder use, and
refuses any other.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([\w\s,]+)\}) from "(\.[^"]+)";$', re.MULTILINE)
_DECLARED = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.MULTILINE)
# As onnxruntime-web ends: export{a as InferenceSession,b as Tensor};
_LISTED = re.compile(r"^(.*;)?export\{([^}]*)\};?$", re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import\b(?!\()|export\b).*$", re.MULTILINE)


def joined(*entries: str) -> str:
    """The text of one module that has all that some modules export, such as "model/decoder.js".

    >>> text = joined("model/choose.js", "model/rle.js")
    >>> text.splitlines()[-1].partition(" = ")[0]
    'export const { choose, bestOf, encode, packed, boundingBox }'
    """
    texts: dict[Path, str] = {}
    exported: dict[Path, list[str]] = {}
    modules = [FOLDER / entry for entry in entries]
    for module in modules:
        _add(module, texts, exported)
    names = [name for module in modules for name in exported[module]]
    last = ""
    if names:
        everything = ", ".join(f"...{_variable(module)}" for module in modules)
        last = f"export const {{ {', '.join(names)} }} = {{ {everything} }};\n"
    return "".join(texts.values()) + last


def _add(module: Path, texts: dict[Path, str], exported: dict[Path, list[str]]) -> None:
    """Add a module after all that it imports."""
    if module in texts:
        return
    text = module.read_text(encoding="utf-8")
    for found in _IMPORT.finditer(text):
        _add((module.parent / found[3]).resolve(), texts, exported)
    text = _IMPORT.sub(lambda found: _imported(module, found), text)
    exported[module] = [found[2] for found in _DECLARED.finditer(text)]
    text = _DECLARED.sub(r"\1 \2", text)
    given = ", ".join(exported[module])
    listed = _LISTED.search(text)
    if listed:
        pairs = [pair.split(" as ") for pair in listed[2].split(",")]
        exported[module] += [pair[-1] for pair in pairs]
        given = ", ".join(f"{pair[-1]}: {pair[0]}" for pair in pairs)
        text = _LISTED.sub(lambda found: found[1] or "", text)
    left = _LEFT.search(text)
    if left:
        raise ValueError(f"{module} has {left[0]!r}, a form that cannot be joined")
    texts[module] = (
        f"const {_variable(module)} = (() => {{\n{text}\nreturn {{ {given} }};\n}})();\n"
    )


def _imported(module: Path, found: re.Match[str]) -> str:
    names = found[1] or "{" + found[2].replace(" as ", ": ") + "}"
    return f"const {names} = {_variable(module.parent / found[3])};"


def _variable(module: Path) -> str:
    """The name of a module's exports.

    >>> _variable(FOLDER / "model" / "worker.js")
    '$model_worker'
    """
    name = module.resolve().relative_to(FOLDER.resolve()).as_posix()
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
