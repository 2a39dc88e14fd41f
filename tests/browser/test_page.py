"""The page that segments, in a real Chromium: its masks, its tools, and what it says."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from sam2lab import settings
from sam2lab.opening import open_segmenter
from sam2lab.web import write_page
from sam2lab.widgets.session import Session
from tests.browser.conftest import screenshot
from tests.browser.page_user import (
    PHOTOS,
    PIXELS_OFF,
    PageUser,
    check_coco,
    expected,
    served,
)

COFFEE = (600, 400)
BUTTONS = ("left", "middle", "right")


class Chromium:
    """A page of Playwright, as a `Window`."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def mouse(self, places: list[tuple[float, float]], button: int = 0) -> None:
        self.page.mouse.move(*places[0])
        self.page.mouse.down(button=BUTTONS[button])
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up(button=BUTTONS[button])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The page as a folder, and the address that it is served at."""
    folder = tmp_path_factory.mktemp("page") / "site"
    write_page(settings.nano_folder(), folder)
    with served(folder) as url:
        yield folder, url


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A window whose pages may not use the camera."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, has_touch=True)
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture(scope="module")
def opened(context: BrowserContext, site: tuple[Path, str]) -> Iterator[PageUser]:
    """The page, open; at the end, it has asked for nothing but its own files, without complaint."""
    _, url = site
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto(url)
    user = PageUser(Chromium(page))
    user.wait_until_said("ready")
    yield user
    page.close()
    assert asked
    assert [each for each in asked if not each.startswith((url, "data:", "blob:"))] == []
    assert complaints == []


@pytest.fixture
def user(opened: PageUser) -> PageUser:
    """The page with the coffee, on which nothing is pointed out."""
    opened.open_example("coffee.jpg")
    return opened


def objects(user: PageUser) -> list[str]:
    """What the list of objects says of each."""
    return user.evaluate(
        "[...document.querySelectorAll('.object .about')].map(each => each.textContent)"
    )


def saved(user: PageUser, what: str) -> tuple[str, bytes]:
    """Press a button that saves; the file's name and bytes."""
    page = user.window.page
    with page.expect_download() as download:
        page.locator(f"#save-{what}").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("photo", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_masks_are_those_of_sam2lab(opened: PageUser, photo: Path) -> None:
    opened.check_photo(photo)
    screenshot(opened.window.page, f"page-{photo.stem}")


def test_a_turned_photo_is_upright_and_has_its_masks(opened: PageUser, tmp_path: Path) -> None:
    """A phone's photo says in its EXIF which side is up."""
    turned = tmp_path / "turned.jpg"
    with Image.open(PHOTOS / "rocket.jpg") as photo:
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.save(turned, quality=95, exif=exif)
    opened.window.page.set_input_files("#file", turned)
    size = (427, 640)
    opened.wait_until_said("turned.jpg, 427 × 640: ready")
    opened.point_out("a box", size)
    check_coco(opened.coco(), expected(turned, ["a box"], size))


def test_a_large_photo_has_its_masks(opened: PageUser, tmp_path: Path) -> None:
    """It is read in pieces, shown smaller, and saved as large as it is."""
    large, size = tmp_path / "large.png", (2560, 1706)
    with Image.open(PHOTOS / "coffee.jpg") as photo:
        photo.resize(size).save(large, compress_level=1)
    opened.window.page.set_input_files("#file", large)
    opened.wait_until_said("large.png, 2560 × 1706: ready")
    # A pixel of the window is three of the photo: the place that is hit is read from the page.
    opened.click(1280, 512, size)
    (hit,) = opened.prompts()
    assert np.hypot(hit[0] - 1280, hit[1] - 512) < 4
    session = Session(open_segmenter("nano"), large)
    session.add_point(*hit)
    check_coco(opened.coco(), session)


def test_buttons_and_keys_say_what_a_click_means(user: PageUser) -> None:
    page = user.window.page
    user.click(300, 150, COFFEE)
    user.click(100, 50, COFFEE, button=2)
    page.locator("#tool-remove").click()
    user.click(500, 300, COFFEE)
    page.keyboard.press("a")
    user.click(320, 250, COFFEE)
    assert user.prompts() == [
        *([300, 150, True], [100, 50, False]),
        *([500, 300, False], [320, 250, True]),
    ]
    user.click(100, 50, COFFEE)  # on a mark: it goes
    assert len(user.prompts()) == 3
    page.locator("#tool-box").click()
    user.drag((200, 60), (400, 260), COFFEE)
    assert user.prompts()[-1] == [200, 60, 401, 261]
    user.drag((420, 280), (180, 40), COFFEE)  # another takes its place
    assert user.prompts()[-1] == [180, 40, 421, 281]
    assert len(user.prompts()) == 4


def test_undo_and_redo_go_back_to_the_photo_before(user: PageUser) -> None:
    page = user.window.page
    user.click(300, 150, COFFEE)
    user.click(350, 270, COFFEE)
    user.open_example("cat.jpg")
    page.keyboard.press("Control+z")
    user.wait_until_said("object 1: score")
    assert len(user.prompts()) == 2
    user.press("undo")
    assert len(user.prompts()) == 1
    page.keyboard.press("Control+Shift+Z")
    assert len(user.prompts()) == 2
    page.keyboard.press("Delete")
    assert user.prompts() == []


def test_three_answers_to_a_click_and_one_to_a_box(user: PageUser) -> None:
    page = user.window.page
    user.click(300, 150, COFFEE)
    candidates = page.locator(".candidate")
    assert candidates.count() == 3
    before = objects(user)
    chosen = [each.get_attribute("aria-pressed") for each in candidates.all()].index("true")
    page.keyboard.press(str(1 + (chosen + 1) % 3))
    user.wait_for_answer()
    assert objects(user) != before
    user.press("clear")
    user.drag((180, 40), (420, 280), COFFEE)
    assert candidates.count() == 0


def test_a_click_gives_what_was_shown_before_it(user: PageUser) -> None:
    """The mask under the mouse is the answer that a click gets."""
    page = user.window.page
    painted = "document.getElementById('masks').toDataURL().length"
    empty = user.evaluate(painted)
    page.mouse.move(*user.on_page(300, 150, COFFEE))
    user.wait_for(f"{painted} !== {empty}")
    page.keyboard.press("r")
    user.wait_for(f"{painted} === {empty}")
    page.keyboard.press("a")


def test_moving_the_mouse_forgets_no_object(user: PageUser) -> None:
    """More places are looked at than answers are kept."""
    user.click(300, 150, COFFEE)
    user.press("new")
    is_known = user.evaluate(
        "import(new URL('page/main.js', document.baseURI)).then(async ({app}) => {"
        "  for (let x = 100; x < 145; x++) await app.previews.hover({x, y: 200});"
        "  return app.answerOf(app.state.objects[0]) !== undefined;"
        "})"
    )
    assert is_known


def test_a_person_without_a_mouse_points_by_keys(user: PageUser) -> None:
    page = user.window.page
    page.locator("#stage").focus()
    for key in ("ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    user.wait_until_said("Decoded in")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+Enter")
    user.wait_for_answer()
    (x, y, positive), (further, same, negative) = user.prompts()
    assert x > 300 > further
    assert y == same < 200
    assert (positive, negative) == (True, False)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")


def test_a_finger_taps_and_draws_boxes(user: PageUser) -> None:
    page = user.window.page
    page.touchscreen.tap(*user.on_page(300, 150, COFFEE))
    user.wait_until_said("Decoded in")
    (tap,) = user.prompts()
    assert np.hypot(tap[0] - 300, tap[1] - 150) < 2
    page.locator("#tool-box").click()
    devtools = page.context.new_cdp_session(page)
    for kind, place in [("Start", (180, 40)), ("Move", (300, 150)), ("Move", (420, 280))]:
        x, y = user.on_page(*place, COFFEE)
        devtools.send(
            "Input.dispatchTouchEvent",
            {"type": f"touch{kind}", "touchPoints": [{"x": x, "y": y}]},
        )
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    user.wait_for_answer()
    assert [len(each) for each in user.prompts()] == [3, 4]


def test_a_click_hits_the_pixel_that_is_seen_when_zoomed(user: PageUser) -> None:
    page = user.window.page
    for _ in range(5):
        page.keyboard.press("+")
    page.mouse.move(*user.on_page(300, 200, COFFEE))
    page.mouse.wheel(90, 60)
    user.click(333, 222, COFFEE)
    assert user.prompts() == [[333, 222, True]]
    box = user.evaluate("document.getElementById('photo').getBoundingClientRect().width")
    page.keyboard.press("0")
    assert user.evaluate("document.getElementById('photo').getBoundingClientRect().width") < box / 2


def test_objects_are_named_hidden_and_deleted(user: PageUser) -> None:
    page = user.window.page
    user.point_out("a box", COFFEE)
    name = page.locator(".object .name")
    name.fill("cup")
    name.press("Enter")
    user.press("new")
    user.click(350, 270, COFFEE)
    colours = page.locator(".object .colour")
    assert len({each.input_value() for each in colours.all()}) == 2
    page.locator(".object").first.get_by_text("Hide").click()
    assert page.locator(".object").first.get_by_text("Show").is_visible()
    categories = user.coco()["categories"]
    assert [each["name"] for each in categories] == ["cup", "object 2"]
    page.locator(".object").last.get_by_text("Delete").click()
    assert objects(user)[-1] == "click on it"


def test_files_hold_the_masks(user: PageUser) -> None:
    session = expected(PHOTOS / "coffee.jpg", ["a box", "a click"], COFFEE)
    user.point_out("a box", COFFEE)
    user.press("new")
    user.point_out("a click", COFFEE)
    masks = list(session.masks.values())

    name, content = saved(user, "mask")
    assert name == "coffee_2_object_2.png"
    grey = np.asarray(Image.open(io.BytesIO(content)))
    assert grey.shape == (400, 600)
    assert np.count_nonzero((grey == 255) != masks[1]) <= PIXELS_OFF
    assert set(np.unique(grey)) == {0, 255}

    name, content = saved(user, "labels")
    assert name == "coffee_labels.png"
    numbers = np.where(masks[1], 2, np.where(masks[0], 1, 0))
    labels = Image.open(io.BytesIO(content))
    assert labels.mode == "P"
    assert np.count_nonzero(np.asarray(labels) != numbers) <= 2 * PIXELS_OFF

    name, content = saved(user, "cutout")
    assert name == "coffee_2_object_2_cutout.png"
    (wanted,) = [each for file, each in session.export("cutouts").items() if file == name]
    ours, theirs = (np.asarray(Image.open(io.BytesIO(each))) for each in (content, wanted))
    assert np.count_nonzero((ours != theirs).any(axis=-1)) <= PIXELS_OFF

    name, content = saved(user, "coco")
    assert name == "coffee_coco.json"
    check_coco(json.loads(content), session)


def test_a_click_is_answered_while_the_button_is_down(user: PageUser) -> None:
    page, (x, y) = user.window.page, (311, 187)
    point = f"{{prompts: [{{x: {x}, y: {y}, positive: true}}], choice: null}}"
    answered = (
        "import(new URL('page/main.js', document.baseURI))"
        f".then(({{app}}) => app.answerOf({point})?.isWhole)"
    )
    # A browser that knows touch does not show the box.
    switch_previews = "document.getElementById('preview').click()"
    page.evaluate(switch_previews)
    page.mouse.move(*user.on_page(x, y, COFFEE))
    assert not user.evaluate(answered)
    page.mouse.down()
    user.wait_for(answered)
    assert user.prompts() == []
    page.mouse.up()
    assert user.prompts() == [[x, y, True]]
    user.wait_until_said("Decoded in")
    page.evaluate(switch_previews)


def test_photos_are_dropped_and_pasted(user: PageUser) -> None:
    script = """([kind, name]) => fetch("photos/cat.jpg").then(got => got.blob()).then(blob => {
        const given = new DataTransfer();
        given.items.add(new File([blob], name, {type: "image/jpeg"}));
        const how = {bubbles: true, cancelable: true};
        document.body.dispatchEvent(kind === "drop"
            ? new DragEvent("drop", {...how, dataTransfer: given})
            : new ClipboardEvent("paste", {...how, clipboardData: given}));
    })"""
    for kind in ("drop", "paste"):
        user.window.page.evaluate(script, [kind, f"{kind}.jpg"])
        user.wait_until_said(f"{kind}.jpg, 451 × 300: ready")


def test_the_camera_takes_a_photo(user: PageUser, context: BrowserContext) -> None:
    context.grant_permissions(["camera"])
    user.press("camera")
    user.window.page.locator("#shoot").click()  # waits for the first picture
    user.wait_until_said("camera.png, 640 × 480: ready")
    assert user.evaluate("document.getElementById('video').srcObject.active") is False
    user.click(320, 240, (640, 480))
    user.wait_until_said("Decoded in")
    context.clear_permissions()


def test_what_cannot_be_used_is_said_kindly(user: PageUser, tmp_path: Path) -> None:
    page = user.window.page
    (tmp_path / "notes.txt").write_text("no picture")
    page.set_input_files("#file", tmp_path / "notes.txt")
    user.wait_until_said("This browser cannot show notes.txt, which says it is text/plain. Save")
    user.press("camera")
    user.wait_until_said("No picture from the camera. The browser did not allow it.")
    user.click(300, 150, COFFEE)  # and all goes on
    assert page.locator("#alert").is_hidden()
    user.press("clear")
    user.click(300, 150, COFFEE, button=2)
    user.wait_until_said("“Not this” alone says nothing yet")


def test_a_part_that_is_missing_is_named(context: BrowserContext, site: tuple[Path, str]) -> None:
    page = context.new_page()
    page.route("**/files/decoder*", lambda route: route.fulfill(status=404))
    page.goto(site[1])
    PageUser(Chromium(page)).wait_until_said("is not there: the server answered 404")
    page.close()


def test_it_opens_from_disk_as_one_file(context: BrowserContext, tmp_path: Path) -> None:
    path = write_page(settings.nano_folder(), tmp_path / "page.html", single_file=True)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(path.as_uri())
    user = PageUser(Chromium(page))
    user.wait_until_said("ready")
    session = expected(PHOTOS / "coffee.jpg", ["a box", "a click"], COFFEE)
    user.point_out("a box", COFFEE)
    user.press("new")
    user.point_out("a click", COFFEE)
    _, content = saved(user, "coco")
    check_coco(json.loads(content), session)
    page.close()
    assert [each for each in asked if not each.startswith(("data:", "blob:"))] == [path.as_uri()]
    assert complaints == []


def test_a_phone_shows_all_of_it_without_scrolling_sideways(user: PageUser) -> None:
    page = user.window.page
    before = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 740})
    assert user.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#stage").scroll_into_view_if_needed()
    user.click(300, 150, COFFEE)
    screenshot(page, "page-phone")
    page.set_viewport_size(before)
