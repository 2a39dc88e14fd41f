"""What is taken away is read back as its own ecosystem reads it."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.formats import takeaway
from sam2lab.widgets.formats.polygons import one_polygon, polygons
from sam2lab.widgets.formats.takeaway import Annotated, Files, Labelled
from sam2lab.widgets.session import Session
from tests.runtime.fakes import FakeEngine

HEIGHT, WIDTH = 37, 53
PHOTO = np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def blob(seed: int) -> np.ndarray:
    """Something with a coast, islands and lakes."""
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), 2.5) > 0.5


def ring() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[5:20, 8:30] = True
    mask[9:15, 12:24] = False
    mask[11:13, 15:18] = True
    return mask


def pixel() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[36, 52] = True
    return mask


SHAPES = {
    "everything": np.ones((HEIGHT, WIDTH), bool),
    "ring": ring(),
    "pixel": pixel(),
    "diagonal": np.eye(HEIGHT, WIDTH, dtype=bool),
    "blob": blob(1),
    "negative": ~blob(2),
}


def annotated(has_file: bool = False, photo: np.ndarray = PHOTO) -> Annotated:
    names = ["cat", "dog", "cat", "big dog", "cat", "Bär"]
    objects = tuple(
        Labelled(name, mask, 0.5 + index / 10)
        for index, (name, mask) in enumerate(zip(names, SHAPES.values(), strict=True))
    )
    return Annotated("my photo.jpg", photo, objects, has_file)


masks_of_any_shape = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


def coco_reads(mask: np.ndarray, folder: Path) -> np.ndarray:
    (content,) = takeaway.coco_polygons(one(mask)).values()
    (folder / "coco.json").write_bytes(content)
    coco = COCO(str(folder / "coco.json"))
    return coco.annToMask(coco.anns[1]).astype(bool)


def one(mask: np.ndarray) -> Annotated:
    return Annotated("a.png", np.zeros((*mask.shape, 3), np.uint8), (Labelled("a", mask, 1.0),))


def labelme_reads(shape: dict, size: tuple[int, int]) -> np.ndarray:
    """As `labelme.utils.shape_to_mask` does."""
    assert shape["shape_type"] == "polygon"
    assert len(shape["points"]) > 2
    image = Image.new("L", size[::-1])
    xy = [tuple(point) for point in shape["points"]]
    ImageDraw.Draw(image).polygon(xy=xy, outline=1, fill=1)
    return np.array(image, bool)


def yolo_reads(line: str, size: tuple[int, int], to_pixels: Callable) -> tuple[int, np.ndarray]:
    """As ultralytics (cutting off) or supervision (rounding) do, from float32 on."""
    number, *shares = line.split()
    polygon = np.array(shares, np.float32).reshape(-1, 2)
    assert len(polygon) >= 3
    assert polygon.min() >= 0
    assert polygon.max() <= 1
    corners = to_pixels(polygon * np.array(size[::-1], np.float32)).astype(np.int32)
    image = np.zeros(size, np.uint8)
    cv2.fillPoly(image, [corners], 1)
    return int(number), image.astype(bool)


@given(mask=masks_of_any_shape)
def test_polygons_along_edges_go_straight_and_have_the_area_of_the_mask(mask: np.ndarray) -> None:
    area = 0.0
    for polygon in polygons(mask, through_pixels=False):
        x, y = polygon.T.astype(float)
        steps = polygon - np.roll(polygon, 1, axis=0)
        assert ((steps == 0).sum(axis=1) == 1).all()
        area += np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2
    assert area == mask.sum()


@given(mask=masks_of_any_shape)
def test_there_is_a_polygon_for_each_part(mask: np.ndarray) -> None:
    parts, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    for through_pixels in (False, True):
        assert len(polygons(mask, through_pixels=through_pixels)) == parts - 1


@given(mask=masks_of_any_shape)
def test_polygons_through_pixels_are_painted_back_exactly(mask: np.ndarray) -> None:
    by_cv2, by_pillow = np.zeros_like(mask), np.zeros_like(mask)
    for polygon in polygons(mask, through_pixels=True):
        part = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(part, [polygon.astype(np.int32)], 1)
        by_cv2 |= part.astype(bool)
        shape = {"shape_type": "polygon", "points": polygon.tolist()}
        by_pillow |= labelme_reads(shape, mask.shape)
    assert np.array_equal(by_cv2, mask)
    assert np.array_equal(by_pillow, mask)


@given(mask=masks_of_any_shape.filter(np.any))
def test_joining_parts_adds_lines_and_loses_nothing(mask: np.ndarray) -> None:
    image = np.zeros(mask.shape, np.uint8)
    joined = one_polygon(polygons(mask, through_pixels=True))
    cv2.fillPoly(image, [joined.astype(np.int32)], 1)
    assert image[mask].all()


@given(mask=masks_of_any_shape.filter(np.any))
def test_coco_polygons_are_exact_for_pycocotools(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray
) -> None:
    folder = tmp_path_factory.getbasetemp()
    assert np.array_equal(coco_reads(mask, folder), mask)


@pytest.mark.parametrize("form", [takeaway.coco_rle, takeaway.coco_polygons])
def test_coco_files_are_read_by_pycocotools(
    form: Callable[[Annotated], Files], tmp_path: Path
) -> None:
    ((name, content),) = form(annotated(has_file=True)).items()
    assert name == "my_photo_coco.json"
    (tmp_path / name).write_bytes(content)
    coco = COCO(str(tmp_path / name))
    assert coco.loadImgs(1)[0] == {
        "id": 1,
        "file_name": "my photo.jpg",
        "height": HEIGHT,
        "width": WIDTH,
    }
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    for annotation, each in zip(coco.loadAnns(coco.getAnnIds()), annotated().objects, strict=True):
        assert np.array_equal(coco.annToMask(annotation).astype(bool), each.mask)
        assert names[annotation["category_id"]] == each.name
        assert annotation["area"] == each.mask.sum()
        assert annotation["score"] == each.score
        x, y, width, height = cv2.boundingRect(each.mask.astype(np.uint8))
        assert annotation["bbox"] == [x, y, width, height]


def test_masks_are_read_back() -> None:
    files = takeaway.masks(annotated())
    assert list(files)[-2:] == ["my_photo_5_cat.png", "my_photo_6_Bär.png"]
    for content, mask in zip(files.values(), SHAPES.values(), strict=True):
        read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read, 255 * mask.astype(np.uint8))


def test_cutouts_show_the_object_and_nothing_else() -> None:
    for content, mask in zip(takeaway.cutouts(annotated()).values(), SHAPES.values(), strict=True):
        image = Image.open(io.BytesIO(content))
        assert image.mode == "RGBA"
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        box = np.s_[y : y + height, x : x + width]
        assert np.array_equal(np.array(image)[..., 3], 255 * mask[box].astype(np.uint8))
        assert np.array_equal(np.array(image)[..., :3], PHOTO[box] * mask[box][..., None])


def test_a_photo_of_floats_is_cut_out_in_8_bits() -> None:
    (content, *_) = takeaway.cutouts(annotated(photo=PHOTO / np.float32(255))).values()
    assert np.array_equal(np.array(Image.open(io.BytesIO(content)))[..., :3], PHOTO)


@pytest.mark.parametrize(("copies", "dtype"), [(1, np.uint8), (43, np.uint16)])
def test_a_label_map_numbers_the_objects_the_later_on_top(copies: int, dtype: type) -> None:
    several = Annotated("a.png", PHOTO, annotated().objects * copies)
    picture, names = takeaway.label_map(several).values()
    read = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == dtype
    expected = np.zeros((HEIGHT, WIDTH), int)
    for number, each in enumerate(several.objects, 1):
        expected[each.mask] = number
    assert np.array_equal(read, expected)
    assert json.loads(names)["2"] == "dog"


@pytest.mark.parametrize("to_pixels", [np.trunc, np.round])
def test_yolo_lines_are_read_back(to_pixels: Callable) -> None:
    labels, names = takeaway.yolo(annotated(has_file=True)).values()
    classes = names.decode().splitlines()
    assert classes == ["cat", "dog", "big dog", "Bär"]
    for line, each in zip(labels.decode().splitlines(), annotated().objects, strict=True):
        number, mask = yolo_reads(line, (HEIGHT, WIDTH), to_pixels)
        assert classes[number] == each.name
        parts, _ = cv2.connectedComponents(each.mask.astype(np.uint8), connectivity=8)
        if parts == 2:
            assert np.array_equal(mask, each.mask)
        else:
            # Each line that joins two parts is at most as long as they are apart.
            assert mask[each.mask].all()
            assert (mask & each.mask).sum() / (mask | each.mask).sum() > 0.9


def test_a_yolo_label_lies_where_its_reader_looks() -> None:
    assert "my photo.txt" in takeaway.yolo(annotated(has_file=True))


def test_labelme_shapes_are_read_back() -> None:
    ((name, content),) = takeaway.labelme(annotated(has_file=True)).items()
    read = json.loads(content)
    assert (name, read["imagePath"], read["imageData"]) == ("my photo.json", "my photo.jpg", None)
    assert (read["imageHeight"], read["imageWidth"]) == (HEIGHT, WIDTH)
    instances: dict[object, np.ndarray] = {}
    labels = {}
    for index, shape in enumerate(read["shapes"]):
        # As labelme groups shapes: by label and group, alone without a group.
        key = (shape["label"], index if shape["group_id"] is None else f"g{shape['group_id']}")
        mask = labelme_reads(shape, (HEIGHT, WIDTH))
        instances[key] = instances.get(key, False) | mask
        labels[key] = shape["label"]
    assert list(labels.values()) == [each.name for each in annotated().objects]
    for mask, each in zip(instances.values(), annotated().objects, strict=True):
        assert np.array_equal(mask, each.mask)


def test_a_photo_without_a_file_is_inside_the_labelme_file() -> None:
    (content,) = takeaway.labelme(annotated()).values()
    read = json.loads(content)
    assert read["imagePath"] == "my_photo.png"
    photo = Image.open(io.BytesIO(base64.b64decode(read["imageData"])))
    assert np.array_equal(np.array(photo), PHOTO)


def test_a_session_gives_every_object_that_it_has() -> None:
    session = Session(Segmenter(FakeEngine()), PHOTO)
    with pytest.raises(ValueError, match="no object"):
        takeaway.take(session, "masks")
    session.add_point(20, 20)
    session.commit("cat")
    session.add_point(5, 5, positive=False)
    session.hide(1)
    (content,) = takeaway.take(session, "masks").values()
    read = np.array(Image.open(io.BytesIO(content))) > 0
    assert np.array_equal(read, session.masks[1])
    for form in takeaway.FORMATS:
        assert all(isinstance(data, bytes) for data in takeaway.take(session, form).values())
    with pytest.raises(ValueError, match="coco_rle"):
        takeaway.take(session, "svg")
