"""Markdown pages of the repository, and the code in them."""

from __future__ import annotations

import re
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def code_blocks(text: str, language: str = "python") -> list[str]:
    """The fenced blocks of one language, without the indentation of the list they may be in."""
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, name, code in FENCE.findall(text)
        if name == language
    ]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", text)


def section(page: Path, title: str) -> str:
    """What stands under a heading, up to the next heading of its rank."""
    text = page.read_text()
    # A comment in code looks like a heading; blanked, it leaves the places of the others.
    without_code = FENCE.sub(lambda found: " " * len(found[0]), text)
    headings = [(len(found[1]), found[2], found) for found in HEADING.finditer(without_code)]
    (index,) = [i for i, (_, name, _) in enumerate(headings) if name == title]
    rank, _, start = headings[index]
    ends = [found.start() for other, _, found in headings[index + 1 :] if other <= rank]
    return text[start.end() : ends[0] if ends else len(text)]


def anchors(page: Path) -> set[str]:
    """The names by which a code host links to a page's headings."""
    titles = [title.lower() for _, title in HEADING.findall(prose(page.read_text()))]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
