"""Taking objects away: a choice of format, and a link by which the browser saves the file."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Iterable
from html import escape

from ipywidgets import HTML, Dropdown

from sam2lab.widgets.formats.annotated import Files
from sam2lab.widgets.formats.table import Format, VideoFormat
from sam2lab.widgets.panels.controls import button, named, section

# The link holds the file, so that nothing is written where the kernel runs, near or far.
LINK = (
    '<a download="{name}" href="data:application/octet-stream;base64,{data}">⤓ {name}</a> ({size})'
)


class TakeAwayPanel:
    """Calls `export` with the name of a format; `offer` then shows the files it made."""

    def __init__(
        self, export: Callable[[str], None], formats: Iterable[Format | VideoFormat]
    ) -> None:
        self.format = named(
            Dropdown(
                options=[(row.label, row.name) for row in formats],
                description="Format",
                tooltip="Which file to make of the objects",
            ),
            *("format", "wide"),
        )
        self.make = button(
            "take",
            "Make the file",
            "Make a file of all objects, with a link to save it",
            lambda: export(self.format.value),
            "download",
        )
        self.link = named(HTML(), "note", "link")
        self.format.observe(lambda _: self.forget(), "value")
        self.widget = section("Take away", self.format, self.make, self.link)

    def offer(self, files: Files, stem: str) -> None:
        """Show a link to the file; several files come as one zip archive."""
        if len(files) == 1:
            ((name, content),) = files.items()
        else:
            name, content = f"{stem}_{self.format.value}.zip", _zipped(files)
        data = base64.b64encode(content).decode()
        self.link.value = LINK.format(name=escape(name), data=data, size=_size(len(content)))

    def forget(self) -> None:
        """Remove the link, because the objects have changed since."""
        if self.link.value:
            self.link.value = ""


def _zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _size(count: int) -> str:
    """Write a number of bytes as people read it.

    >>> _size(812), _size(3_400_000)
    ('812 bytes', '3.4 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
