"""Pictures of every kind become one form, and pixels equal to the original's."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

import sam2lab.reference  # noqa: F401  (makes torchvision importable beside a CPU torch)
from sam2lab.runtime.engines.protocol import IMAGENET_MEAN, IMAGENET_STD
from sam2lab.runtime.images import ImageError, preprocess, read

EIGHT_BIT_MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]
FORMATS = ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def is_readable(rgb: np.ndarray) -> bool:
    """Check the promises of `read` about its result."""
    in_range = rgb.dtype == np.uint8 or (
        rgb.dtype == np.float32 and rgb.min() >= 0 and rgb.max() <= 1
    )
    return rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.flags.c_contiguous and bool(in_range)


class TestSources:
    def test_a_path_a_string_and_bytes_are_the_same_picture(self, tmp_path: Path) -> None:
        photo = noise(5, 7, 3)
        path = tmp_path / "photo.png"
        Image.fromarray(photo).save(path)
        for source in (path, str(path), path.read_bytes(), Image.open(path)):
            np.testing.assert_array_equal(read(source), photo)

    def test_the_first_frame_of_several_is_read(self) -> None:
        frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
        film = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        np.testing.assert_array_equal(read(film)[0, 0], [255, 0, 0])

    @pytest.mark.parametrize("mode", EIGHT_BIT_MODES)
    def test_an_eight_bit_mode_is_what_convert_makes_of_it(self, mode: str) -> None:
        image = Image.fromarray(noise(5, 7, 3)).convert("P" if mode == "PA" else "RGB")
        image = image.convert(mode)
        np.testing.assert_array_equal(read(image), np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize(("mode", "plain"), [("La", "LA"), ("RGBa", "RGBA")])
    def test_premultiplied_alpha_is_taken_out_first(self, mode: str, plain: str) -> None:
        image = Image.fromarray(noise(5, 7, 4)).convert(plain).convert(mode)
        expected = image.convert(plain).convert("RGB")
        np.testing.assert_array_equal(read(image), np.asarray(expected))

    @pytest.mark.parametrize("transparency", [3, bytes(range(256))], ids=["index", "alpha"])
    def test_a_palette_with_transparency_keeps_its_colours(self, transparency: int | bytes) -> None:
        image = Image.fromarray(noise(5, 7, 3)).convert("P")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rgb = read(encoded(image, transparency=transparency))
        np.testing.assert_array_equal(rgb, np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I"])
    def test_sixteen_bits_keep_their_depth(self, mode: str) -> None:
        values = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
        raw = values.astype({"I;16B": ">u2", "I": "<i4"}.get(mode, "<u2"))
        image = Image.frombytes(mode, (3, 2), raw.tobytes())
        expected = np.repeat(values[..., None].astype(np.float32) / np.float32(65535), 3, axis=2)
        np.testing.assert_array_equal(read(image), expected)
        np.testing.assert_array_equal(read(values), expected)
        np.testing.assert_array_equal(read(values.astype(">u2")), expected)

    def test_a_sixteen_bit_png_is_not_cut_to_eight_bits(self) -> None:
        values = np.arange(0, 60000, 1000, dtype=np.uint16).reshape(6, 10)
        rgb = read(encoded(Image.fromarray(values)))
        np.testing.assert_array_equal(np.rint(rgb[..., 1] * 65535), values)

    def test_a_float_picture_keeps_its_values(self) -> None:
        values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
        np.testing.assert_array_equal(read(Image.fromarray(values))[..., 2], values)


class TestOrientation:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_the_picture_stands_upright(self, kind: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = encoded(Image.fromarray(noise(5, 7, 3)), kind, exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
        np.testing.assert_array_equal(read(file), expected)
        np.testing.assert_array_equal(read(Image.open(io.BytesIO(file))), expected)

    def test_an_image_in_memory_may_say_so_too(self) -> None:
        image = Image.fromarray(noise(5, 7).astype(np.uint16))
        image.getexif()[0x0112] = 6
        assert read(image).shape == (7, 5, 3)

    def test_broken_exif_does_not_spoil_the_pixels(self) -> None:
        file = encoded(Image.fromarray(noise(5, 7, 3)), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0")
        assert read(file).shape == (5, 7, 3)


class TestArrays:
    def test_a_plain_rgb_array_is_not_copied(self) -> None:
        photo = noise(5, 7, 3)
        assert read(photo) is photo

    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
    def test_grey_is_repeated(self, shape: tuple[int, ...]) -> None:
        grey = noise(*shape)
        np.testing.assert_array_equal(read(grey), np.repeat(grey.reshape(5, 7, 1), 3, axis=2))

    def test_alpha_is_dropped(self) -> None:
        photo = noise(5, 7, 4)
        np.testing.assert_array_equal(read(photo), photo[..., :3])

    @pytest.mark.parametrize("channels", [3, 4])
    def test_bgr_is_turned_round(self, channels: int) -> None:
        photo = noise(5, 7, channels)
        np.testing.assert_array_equal(read(photo, "bgr"), photo[..., [2, 1, 0]])

    def test_a_mask_is_black_and_white(self) -> None:
        np.testing.assert_array_equal(read(np.array([[True, False]]))[0, :, 0], [255, 0])

    @pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
    def test_floats_in_range_are_kept(self, dtype: str) -> None:
        photo = np.linspace(0, 1, 60).reshape(4, 5, 3).astype(dtype)
        np.testing.assert_array_equal(read(photo), photo.astype(np.float32))


class TestRefusals:
    @pytest.mark.parametrize(
        ("image", "words"),
        [
            (np.zeros((3, 8, 9), np.uint8), "channels first"),
            (np.zeros((2, 8, 9, 3), np.uint8), r"one by one"),
            (np.zeros((8, 9, 2), np.uint8), r"\(8, 9, 2\)"),
            (np.zeros(7), r"\(7,\)"),
            (np.float32(3), "float32"),
            (np.zeros((0, 9, 3), np.uint8), "no pixels"),
            (Image.new("RGB", (0, 3)), "no pixels"),
            (np.full((4, 4), 128.0), r"divide by 255"),
            (np.full((4, 4), -0.1), r"\[-0.1, -0.1\]"),
            (np.full((4, 4), np.nan), "NaN"),
            (np.full((4, 4), np.inf), "infinity"),
            (np.zeros((4, 4), np.int64), r"astype\(np.uint8\)"),
            (np.zeros((4, 4), complex), "complex128"),
            (np.zeros((4, 4), object), "object"),
            (Image.fromarray(np.full((2, 2), 70000, np.int32)), "65535"),
            (torch.zeros(3, 4, 4), "permute"),
            ([[0, 1], [2, 3]], "list"),
            (None, "NoneType"),
            ("no/such/file.jpg", "no file 'no/such/file.jpg'"),
            ("https://example.org/cat.jpg", "not downloaded"),
            (".", "folder|opened"),
            ("a\0b", "null"),
            (b"", "no picture in 0 bytes"),
            (b"# A text\n", "no picture in 9 bytes"),
        ],
    )
    def test_the_message_says_what_came_and_what_to_do(self, image: object, words: str) -> None:
        with pytest.raises(ImageError, match=words) as refusal:
            read(image)  # type: ignore[arg-type]
        assert "image" in str(refusal.value)

    def test_a_colour_format_is_rgb_or_bgr(self) -> None:
        with pytest.raises(ValueError, match=r'input_color_format must be "rgb" or "bgr"'):
            read(noise(4, 4, 3), "gbr")

    def test_a_closed_picture_asks_to_be_opened_again(self) -> None:
        image = Image.open(io.BytesIO(encoded(Image.fromarray(noise(4, 4, 3)))))
        image.close()
        with pytest.raises(ImageError, match="open it again"):
            read(image)

    @pytest.mark.parametrize("as_bytes", [False, True])
    @pytest.mark.parametrize(
        ("picture", "kind", "share", "words"),
        [
            (Image.fromarray(noise(40, 40, 3)), "jpg", 0.5, "its pixels.* cut short"),
            (Image.fromarray(np.full((4, 4), 300.0, np.float32)), "tif", 1, "float32 must be in"),
            (Image.fromarray(np.full((4, 4), np.nan, np.float32)), "tif", 1, "holds NaN"),
            (Image.fromarray(np.full((4, 4), 70000, np.int32)), "tif", 1, "mode I must hold"),
        ],
    )
    def test_a_file_with_unusable_pixels_is_named(
        self,
        tmp_path: Path,
        picture: Image.Image,
        kind: str,
        share: float,
        words: str,
        as_bytes: bool,
    ) -> None:
        path = tmp_path / f"holiday.{kind}"
        picture.save(path)
        content = path.read_bytes()
        content = content[: int(share * len(content))]
        path.write_bytes(content)
        name = f"image of {len(content)} bytes" if as_bytes else rf"image '.*holiday\.{kind}'"
        with pytest.raises(ImageError, match=rf"^{name}.*{words}"):
            read(content if as_bytes else path)

    # Between once and twice the limit Pillow only warns, beyond twice it raises.
    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("limit", [100, 60])
    def test_a_decompression_bomb_is_not_unpacked(
        self, monkeypatch: pytest.MonkeyPatch, limit: int
    ) -> None:
        file = encoded(Image.new("L", (15, 10)))
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ImageError, match="MAX_IMAGE_PIXELS"):
            read(file)


@pytest.mark.filterwarnings("ignore")
class TestAnythingElse:
    @settings(max_examples=150, deadline=None)
    @given(kind=st.sampled_from(FORMATS), data=st.data())
    def test_a_damaged_file_is_read_or_refused(self, kind: str, data: st.DataObject) -> None:
        file = bytearray(encoded(Image.fromarray(noise(9, 12, 3)), kind))
        for _ in range(data.draw(st.integers(0, 4), label="damages")):
            place = data.draw(st.integers(0, min(len(file) - 1, 600)), label="place")
            file[place] = data.draw(st.integers(0, 255), label="byte")
        cut = data.draw(st.integers(0, len(file)), label="cut")
        try:
            rgb = read(bytes(file[: cut or None]))
        except ImageError as refusal:
            assert "image" in str(refusal)  # noqa: PT017
        else:
            assert is_readable(rgb)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        image=hnp.arrays(
            dtype=st.one_of(
                hnp.scalar_dtypes(), hnp.floating_dtypes(), st.sampled_from(["u1", "u2", "?"])
            ),
            shape=st.one_of(
                hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
                st.sampled_from([(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)]),
            ),
            fill=st.nothing(),
        )
        | st.none()
        | st.text()
        | st.binary()
        | st.lists(st.integers()),
        order=st.sampled_from(["rgb", "bgr"]),
    )
    def test_any_object_is_read_or_refused(self, image: object, order: str) -> None:
        try:
            rgb = read(image, order)  # type: ignore[arg-type]
        except ImageError as refusal:
            assert "image" in str(refusal)  # noqa: PT017
        else:
            assert is_readable(rgb)
            assert rgb.shape[:2] == np.shape(image)[:2]


class TestPreprocess:
    @staticmethod
    def original(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """`SAM2Transforms`, spelt out so that the target need not be square."""
        from torchvision.transforms import Normalize, Resize, ToTensor

        steps = (ToTensor(), Resize(size), Normalize(IMAGENET_MEAN, IMAGENET_STD))
        for step in steps:
            rgb = step(rgb)
        return rgb.numpy()

    # The bound that the runtime promises, in normalised units. Float32 resizing costs 2e-6 of it.
    TOLERANCE = 1e-5

    @pytest.mark.parametrize("target", [(1024, 1024), (720, 1280), (64, 96)])
    @pytest.mark.parametrize(
        "photo", [(1, 50), (50, 1), (1, 1), (37, 53), (480, 640), (64, 96), (1080, 1920)]
    )
    def test_pixels_equal_the_originals(
        self, photo: tuple[int, int], target: tuple[int, int]
    ) -> None:
        rgb = noise(*photo, 3)
        pixels = preprocess(rgb, target, IMAGENET_MEAN, IMAGENET_STD)
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels, self.original(rgb, target), rtol=0, atol=self.TOLERANCE)

    def test_a_large_photo_equals_the_originals(self) -> None:
        rgb = noise(3000, 4000, 3)
        pixels = preprocess(rgb, (512, 512), IMAGENET_MEAN, IMAGENET_STD)
        np.testing.assert_allclose(
            pixels, self.original(rgb, (512, 512)), rtol=0, atol=self.TOLERANCE
        )

    def test_sam2s_own_transforms_agree(self) -> None:
        from sam2.utils.transforms import SAM2Transforms

        rgb = noise(90, 120, 3)
        original = SAM2Transforms(256, 0.0, disable_torch_jit=True)(rgb).numpy()
        pixels = preprocess(rgb, (256, 256), IMAGENET_MEAN, IMAGENET_STD)
        np.testing.assert_allclose(pixels, original, rtol=0, atol=self.TOLERANCE)

    def test_floats_give_what_their_eight_bit_picture_gives(self) -> None:
        rgb = noise(90, 120, 3)
        np.testing.assert_allclose(
            preprocess(read(rgb / 255), (64, 80), IMAGENET_MEAN, IMAGENET_STD),
            preprocess(rgb, (64, 80), IMAGENET_MEAN, IMAGENET_STD),
            rtol=0,
            atol=self.TOLERANCE,
        )

    @settings(max_examples=30, deadline=None)
    @given(
        photo=st.tuples(st.integers(1, 200), st.integers(1, 200)),
        # torch itself goes wrong where the target is one pixel wide.
        target=st.tuples(st.integers(2, 160), st.integers(2, 160)),
    )
    def test_any_size_equals_the_originals(
        self, photo: tuple[int, int], target: tuple[int, int]
    ) -> None:
        rgb = noise(*photo, 3)
        np.testing.assert_allclose(
            preprocess(rgb, target, IMAGENET_MEAN, IMAGENET_STD),
            self.original(rgb, target),
            rtol=0,
            atol=self.TOLERANCE,
        )
