"""Reads any picture into one form, and turns that into the normalised pixels of a model."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.resample import antialiased, column_bands, multiply, row_bands

# A path, an encoded file's bytes, a PIL image, or an array; `read` says which arrays.
ImageLike = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[Any]
RGB = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# How to turn a picture upright, by its EXIF orientation. `ImageOps.exif_transpose` also writes the
# EXIF anew, and fails where it cannot.
EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Modes that Pillow does not convert to RGB directly, and a step between.
STEP_TO_RGB = {"La": "LA", "RGBa": "RGBA"}


class ImageError(ValueError):
    """The argument `image` cannot be used; the message says why, and what to do."""


def read(image: ImageLike, input_color_format: str = "rgb") -> RGB:
    """Read a picture as a C-contiguous (H, W, 3) array in RGB order.

    8-bit sources give uint8. 16-bit and float sources give float32 in [0, 1]: uint16 (and
    Pillow's integer mode "I", taken as 16-bit) is divided by 65535, floats must be in that
    range already. Grey is repeated, alpha is dropped, EXIF orientation is applied. A file
    with several frames gives the first.

    Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4). OpenCV's `imread` gives BGR: pass
    its arrays with `input_color_format="bgr"`. Files and PIL images know their own order, the
    format is for arrays only. An array that is already as described is returned as it is,
    without a copy.

    >>> read(np.zeros((2, 3), np.uint16)).dtype, read(np.zeros((2, 3, 4), np.uint8)).shape
    (dtype('float32'), (2, 3, 3))
    """
    if input_color_format not in ("rgb", "bgr"):
        raise ValueError(f'input_color_format must be "rgb" or "bgr", not {input_color_format!r}')
    if isinstance(image, np.ndarray):
        return _from_array(image, is_bgr=input_color_format == "bgr")
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, (str, os.PathLike, bytes)):
        return _from_file(image)
    raise ImageError(
        "image must be a path, the bytes of a picture file, a PIL image or a numpy array, not "
        f"{type(image).__name__}; make a list np.array(image, dtype=np.uint8), a (3, H, W) "
        "tensor image.permute(1, 2, 0).cpu().numpy()"
    )


def eight_bit(rgb: RGB) -> npt.NDArray[np.uint8]:
    """What `read` returned, in 8 bits; not copied where it has 8 bits already.

    >>> eight_bit(np.float32([[[0, 0.5, 1]]])).tolist()
    [[[0, 128, 255]]]
    """
    levels = rgb if rgb.dtype == np.uint8 else np.rint(rgb * np.float32(255))
    return levels.astype(np.uint8, copy=False)


def preprocess(
    rgb: RGB,
    input_size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Float32:
    """Resize what `read` returned to (3, *input_size) and normalise it.

    `input_size` is (height, width); `mean` and `std` are for RGB values in [0, 1]. Equal
    within 1e-5 to what SAM 2 is trained with, torchvision's antialiased bilinear `Resize` of
    the float image followed by `Normalize`.

    >>> preprocess(np.full((2, 3, 3), 255, np.uint8), (1, 2), (0.5,) * 3, (0.25,) * 3)[0]
    array([[2., 2.]], dtype=float32)
    """
    height, width = rgb.shape[:2]
    white = 255 if rgb.dtype == np.uint8 else 1
    scale = np.array([[[1 / (white * s)]] for s in std], np.float32)
    offset = np.array([[[m / s]] for m, s in zip(mean, std, strict=True)], np.float32)
    pixels = np.empty((3, *input_size), np.float32)
    down = row_bands(antialiased(height, input_size[0]), height)
    across = column_bands(antialiased(width, input_size[1]), width)
    # A few target rows at a time, so that no float copy of the whole photo is made.
    for target, source, weights in down:
        rows = rgb[source].reshape(-1, 3 * width).astype(np.float32, copy=False)
        mixed = multiply(weights, rows, out=np.empty((len(weights), 3 * width), np.float32))
        # Channel by channel, all rows: (3 * rows, width).
        planes = mixed.reshape(-1, width, 3).transpose(2, 0, 1).reshape(-1, width)
        narrow = np.empty((len(planes), input_size[1]), np.float32)
        for band in across:
            multiply(planes[:, band.source], band.weights, out=narrow[:, band.target])
        # Resizing is linear, so the smaller result is scaled instead of the photo.
        block = pixels[:, target]
        np.multiply(narrow.reshape(block.shape), scale, out=block)
        block -= offset
    return pixels


def _from_file(source: str | os.PathLike[str] | bytes) -> RGB:
    name = f"{len(source)} bytes" if isinstance(source, bytes) else repr(str(source))
    if name[1:].startswith(("http://", "https://")):
        raise ImageError(f"image: {name} is not downloaded here; fetch it, and pass its bytes")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            limit = Image.MAX_IMAGE_PIXELS
            # Up to twice its limit Pillow only warns.
            if limit is not None and opened.width * opened.height > limit:
                raise Image.DecompressionBombError
            return _from_pil(opened, f"image {'of ' if isinstance(source, bytes) else ''}{name}")
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(
            f"image: there is no file {name}; check the spelling, and the folder where relative "
            "paths start, os.getcwd()"
        ) from error
    except IsADirectoryError as error:
        raise ImageError(f"image: {name} is a folder; pass one file") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"image: Pillow knows no picture in {name}; save it as PNG or JPEG"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"image: {name} unpacks to more than {Image.MAX_IMAGE_PIXELS} pixels, as a "
            "decompression bomb would; if you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    # On a damaged file Pillow's readers raise almost anything, even struct.error.
    except Exception as error:
        raise ImageError(f"image: {name} cannot be opened ({error}); save it anew") from error


def _from_pil(image: Image.Image, called: str = "image") -> RGB:
    try:
        image.load()
        array = np.asarray(_to_rgb(_upright(image)))
    except Exception as error:
        raise ImageError(
            f"{called}: its pixels, of mode {image.mode}, cannot be read ({error}); if it was "
            "closed, open it again, if the file is damaged or cut short, save it anew"
        ) from error
    if image.mode == "I":
        array = _sixteen_bit(array, called)
    return _from_array(array, is_bgr=False, called=called)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(EXIF_ORIENTATION)
    # The pixels may be good where the EXIF is broken.
    except Exception:
        return image
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB for 8-bit modes; deeper ones stay as they are, grey."""
    if image.mode in ("RGB", "I", "F") or image.mode.startswith("I;16"):
        return image
    if "transparency" in image.info:
        # Pillow warns when it drops this.
        image = image.copy()
        del image.info["transparency"]
    if image.mode in STEP_TO_RGB:
        image = image.convert(STEP_TO_RGB[image.mode])
    return image.convert("RGB")


def _sixteen_bit(array: npt.NDArray[Any], called: str) -> npt.NDArray[np.uint16]:
    if array.size and (array.min() < 0 or array.max() > 65535):
        raise ImageError(
            f"{called} of PIL mode I must hold 16-bit values, 0 to 65535, not {array.min()} to "
            f"{array.max()}; pass an array of floats in [0, 1] instead"
        )
    return array.astype(np.uint16)


def _from_array(array: npt.NDArray[Any], is_bgr: bool, called: str = "image") -> RGB:
    array = np.asarray(array)
    _check_shape(array.shape, called)
    array = _in_range(array, called)
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] == 1:
        array = np.broadcast_to(array, (*array.shape[:2], 3))
    elif array.shape[2] == 4:
        array = array[..., :3]
    return np.ascontiguousarray(array[..., ::-1] if is_bgr else array)


def _check_shape(shape: tuple[int, ...], called: str) -> None:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        if 0 in shape:
            raise ImageError(f"{called} of shape {shape} has no pixels; pass one of at least 1x1")
        return
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        advice = "this looks like channels first: pass np.moveaxis(image, 0, -1)"
    elif len(shape) == 4:
        advice = "pass the images of a batch one by one, image[0], image[1] and so on"
    else:
        advice = "for grey, RGB or RGBA"
    raise ImageError(
        f"{called} of shape {shape} must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); {advice}"
    )


def _in_range(array: npt.NDArray[Any], called: str) -> RGB:
    """The array as uint8, or as float32 in [0, 1]."""
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "u" and bits == 8:
        return array
    if kind == "u" and bits == 16:
        return array.astype(np.float32) / np.float32(65535)
    if kind == "b":
        return array * np.uint8(255)
    if kind != "f":
        raise ImageError(
            f"{called} must be of dtype uint8, uint16, bool or float, not {array.dtype}; if its "
            "values are 0 to 255, pass image.astype(np.uint8)"
        )
    if not np.isfinite(array).all():
        raise ImageError(f"{called} holds NaN or infinity; pass np.nan_to_num(image), or mend it")
    low, high = array.min(), array.max()
    if low < 0 or high > 1:
        raise ImageError(
            f"{called} of dtype {array.dtype} must be in [0, 1], not in [{low:.6g}, {high:.6g}]; "
            "if white is 255, divide by 255, if it is 1, pass np.clip(image, 0, 1)"
        )
    return array.astype(np.float32, copy=False)
