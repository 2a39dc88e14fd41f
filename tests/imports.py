"""Finds every import of a package's modules, however it is spelled and wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


@dataclass
class Imports:
    """The imports of one module: modules of its own package, other packages, and computed names.

    `computed` are line numbers of calls whose module is not written out.
    """

    own: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    computed: list[int] = field(default_factory=list)


def imports_of(folder: Path) -> dict[str, Imports]:
    """The imports of every module below a package's folder, by dotted name.

    A stub counts as a part of the module beside it. Imports inside functions and for type
    checkers count as well.
    """
    files = sorted(path for path in folder.rglob("*.py*") if path.suffix in (".py", ".pyi"))
    modules = {_name(path, folder) for path in files}
    found: dict[str, Imports] = {name: Imports() for name in sorted(modules)}
    for path in files:
        name = _name(path, folder)
        is_package = path.stem == "__init__"
        package = name if is_package else name.rpartition(".")[0]
        _collect(ast.parse(path.read_text()), package, modules, found[name])
        found[name].own.discard(name)
    return found


def circle(imports: Mapping[str, Imports]) -> list[str]:
    """Some modules that import each other in a circle, or none."""
    try:
        TopologicalSorter({name: found.own for name, found in imports.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _collect(tree: ast.Module, package: str, modules: set[str], found: Imports) -> None:
    importers = {"import_module", "__import__"}
    importers |= {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "importlib"
        for alias in node.names
        if alias.name == "import_module" and alias.asname
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in importers:
            constant = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
            if not constant or not isinstance(constant[0], str):
                found.computed.append(node.lineno)
                continue
            names = [_absolute(constant[0], package)]
        else:
            names = list(_written_out(node, package, modules))
        for name in names:
            top = package.partition(".")[0]
            if name.partition(".")[0] == top:
                # A name that is not a module's is defined in the module before the last dot.
                found.own.add(name if name in modules else name.rpartition(".")[0] or top)
            else:
                found.others.add(name)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _written_out(node: ast.AST, package: str, modules: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute("." * node.level + (node.module or ""), package)
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if full in modules else base


def _absolute(name: str, package: str) -> str:
    """A name that may begin with dots, as seen from a package."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*above, *filter(None, [name[level:]])])
