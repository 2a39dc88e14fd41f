"""Makes the pictures of notebooks/README.md anew, from notebooks that pytest has run.

make gallery
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURES = REPOSITORY / "notebooks" / "figures"
EXECUTED = REPOSITORY / "build" / "notebooks"
TAG = "gallery"
MOST_BYTES = 60_000
WIDTH = 800


def gallery_picture(executed: Path) -> Image.Image:
    """Read the picture that the cell tagged "gallery" shows in an executed notebook."""
    pictures = [
        output.data["image/png"]
        for cell in nbformat.read(executed, as_version=4).cells
        if TAG in cell.metadata.get("tags", ())
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    if len(pictures) != 1:
        raise ValueError(
            f"{executed} shows {len(pictures)} pictures in cells tagged {TAG!r}; wanted one: run "
            "the notebook by pytest, and tag the one cell whose figure says most"
        )
    return Image.open(io.BytesIO(base64.b64decode(pictures[0])))


def as_small_file(picture: Image.Image) -> bytes:
    """Encode a picture as WebP, narrow enough for a page, as well as `MOST_BYTES` allow."""
    rgb = picture.convert("RGB")
    rgb.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    for quality in range(90, 0, -10):
        file = io.BytesIO()
        rgb.save(file, "webp", quality=quality, method=6)
        if file.tell() <= MOST_BYTES:
            return file.getvalue()
    raise ValueError(f"a picture of {rgb.size} pixels does not fit into {MOST_BYTES} bytes")


def main() -> None:
    """Write one figure for each notebook."""
    for notebook in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        content = as_small_file(gallery_picture(EXECUTED / notebook.name))
        (FIGURES / f"{notebook.stem}.webp").write_bytes(content)
        print(f"{notebook.stem}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
