"""Makes the README's picture: the clicking notebook, clicked by a real mouse.

python -m pytest tests/browser/readme_picture.py
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from tests.browser.clicking import ClickerPage

SPOON, CUP, WOOD = ((320, 230), (400, 330)), ((170, 15), (400, 250)), (190, 30)


def test_picture(open_notebook, repository: Path) -> None:
    lab = open_notebook(repository / "notebooks" / "04_click.ipynb")
    lab.page.set_viewport_size({"width": 1500, "height": 860})
    lab.run_all()
    page = ClickerPage(lab)
    page.wait_for_photo()
    # What the notebook's robot did goes; the mouse begins anew.
    lab.ask(
        "[clicker.session.delete(item.id) for item in clicker.objects if item.prompts] and None"
    )
    lab.ask("clicker.session.rename(clicker.objects[0].id, 'spoon')")
    page.view.scroll_into_view_if_needed()
    page.wait_for_rest()
    scale = page.size()[0] / lab.ask("clicker.session.photo.shape[1]")

    def placed(x: float, y: float) -> tuple[float, float]:
        return x * scale, y * scale

    page.drag(*(placed(*corner) for corner in SPOON))
    page.press("next")
    page.drag(*(placed(*corner) for corner in CUP))
    page.click(*placed(*WOOD), button="right")
    lab.ask("clicker.session.rename(clicker.objects[-1].id, 'cup')")
    page.wait_for_rest()
    widget = lab.page.locator(".sam2lab-clicker").first
    with Image.open(io.BytesIO(widget.screenshot())) as picture:
        file = repository / "notebooks" / "figures" / "clicker.webp"
        picture.convert("RGB").save(file, quality=92, method=6)
