"""Taking the objects away: a format, and a link under which the browser saves the file."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Mapping
from html import escape

from ipywidgets import HTML, Dropdown

from sam2lab.widgets.panels.controls import button, named, section

# What the formats of `takeaway` are called where people choose.
WORDS = {
    "masks": "PNG mask for each object",
    "label_map": "PNG label map of all objects",
    "coco_rle": "COCO JSON, run lengths",
    "coco_polygons": "COCO JSON, polygons",
    "yolo": "YOLO polygons",
    "labelme": "labelme JSON",
    "cutouts": "Cut-outs with transparency",
}
# Links so that nothing is written where the kernel runs, and a kernel far away will do.
LINK = (
    '<a download="{name}" href="data:application/octet-stream;base64,{data}">⤓ {name}</a> ({size})'
)


class TakeawayPanel:
    """`take` is called with the name of a format; what it makes is to be given to `offer`."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.form = named(
            Dropdown(
                options=[(words, form) for form, words in WORDS.items()],
                description="Format",
                tooltip="Which file to make of the objects on this photo",
            ),
            *("format", "wide"),
        )
        self.make = button(
            "take",
            "Make the file",
            "Make a file of all objects on this photo, with a link to save it",
            lambda: take(self.form.value),
            "download",
        )
        self.link = named(HTML(), "note", "link")
        self.form.observe(lambda _: self.forget(), "value")
        self.widget = section("Take away", self.form, self.make, self.link)

    def offer(self, files: Mapping[str, bytes], stem: str) -> None:
        """Show a link to the file; several come as one zip archive."""
        if len(files) == 1:
            ((name, content),) = files.items()
        else:
            name, content = f"{stem}_{self.form.value}.zip", _zipped(files)
        data = base64.b64encode(content).decode()
        self.link.value = LINK.format(name=escape(name), data=data, size=_size(len(content)))

    def forget(self) -> None:
        """The objects have changed since: no link to what is old."""
        if self.link.value:
            self.link.value = ""


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _size(count: int) -> str:
    """Bytes as people read them.

    >>> _size(812), _size(3_400_000)
    ('812 bytes', '3.4 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"
