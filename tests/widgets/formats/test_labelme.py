"""labelme files are read back as labelme does it."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image

from sam2lab.widgets.formats.labelme import labelme
from tests.widgets.formats.shapes import HEIGHT, PHOTO, WIDTH, annotated, labelme_reads


def test_labelme_shapes_are_read_back() -> None:
    ((name, content),) = labelme(annotated(has_file=True)).items()
    read = json.loads(content)
    assert (name, read["imagePath"], read["imageData"]) == ("my photo.json", "my photo.jpg", None)
    assert (read["imageHeight"], read["imageWidth"]) == (HEIGHT, WIDTH)
    instances: dict[object, np.ndarray] = {}
    labels = {}
    for index, shape in enumerate(read["shapes"]):
        # labelme groups shapes by label and group; a shape without a group stands alone.
        key = (shape["label"], index if shape["group_id"] is None else f"g{shape['group_id']}")
        mask = labelme_reads(shape, (HEIGHT, WIDTH))
        instances[key] = instances.get(key, False) | mask
        labels[key] = shape["label"]
    assert list(labels.values()) == [each.name for each in annotated().objects]
    for mask, each in zip(instances.values(), annotated().objects, strict=True):
        assert np.array_equal(mask, each.mask)


def test_a_photo_without_a_file_is_inside_the_labelme_file() -> None:
    (content,) = labelme(annotated()).values()
    read = json.loads(content)
    assert read["imagePath"] == "my_photo.png"
    photo = Image.open(io.BytesIO(base64.b64decode(read["imageData"])))
    assert np.array_equal(np.array(photo), PHOTO)
