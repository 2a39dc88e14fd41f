"""Frames are the same from every kind of video, in any order, and errors name the frame."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sam2lab.runtime import requirements
from sam2lab.runtime.video import kept_frames
from sam2lab.runtime.video.frames import FrameError, Frames, open_frames
from sam2lab.runtime.video.video_files import live_frames

COUNT, HEIGHT, WIDTH = 30, 48, 64
KEY_FRAME_EVERY = 12


def picture(number: int) -> np.ndarray:
    """A frame that no other number has, not even after lossy coding: its grey says which."""
    frame = np.full((HEIGHT, WIDTH, 3), 8 * number, np.uint8)
    # Left of the middle it is darker, above of it bluer, so that turns and mirrors show.
    frame[:, : WIDTH // 2] //= 2
    frame[: HEIGHT // 2, :, 2] = 255 - frame[: HEIGHT // 2, :, 2]
    return frame


PICTURES = [picture(number) for number in range(COUNT)]


def folder(place: Path, names: list[str] | None = None) -> Path:
    place.mkdir()
    for number, frame in enumerate(PICTURES):
        name = names[number] if names else f"{number:05}.png"
        Image.fromarray(frame).save(place / name)
    return place


def animation(file: Path) -> Path:
    first, *others = map(Image.fromarray, PICTURES)
    lossless = {"lossless": True} if file.suffix == ".webp" else {}
    first.save(file, save_all=True, append_images=others, duration=40, **lossless)
    return file


def video(file: Path, codec: str = "libx264", **options: str) -> Path:
    """A file whose key frames are 12 apart, with frames between that refer to later ones."""
    # So that what is cut off the end is frames, and not the table of all of them.
    with av.open(file, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = KEY_FRAME_EVERY
        for frame in PICTURES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))
    return file


MAKERS: dict[str, Callable[[Path], object]] = {
    "arrays": lambda place: PICTURES,
    "one array": lambda place: np.stack(PICTURES),
    "a generator": lambda place: (Image.fromarray(frame) for frame in PICTURES),
    "floats": lambda place: [frame / 255 for frame in PICTURES],
    "folder": lambda place: folder(place / "clip"),
    "numbers without zeros": lambda place: folder(
        place / "clip", [f"{7 * number}.png" for number in range(COUNT)]
    ),
    "names with numbers": lambda place: str(
        folder(place / "clip", [f"shot 2 frame{number}.PNG" for number in range(COUNT)])
    ),
    "gif": lambda place: animation(place / "clip.gif"),
    "webp": lambda place: animation(place / "clip.webp"),
    "apng": lambda place: animation(place / "clip.png").read_bytes(),
    "mp4": lambda place: video(place / "clip.mp4"),
    "mov": lambda place: video(place / "clip.mov").read_bytes(),
    "vp8": lambda place: video(place / "clip.webm", "libvpx", **{"auto-alt-ref": "1"}),
    "vp9": lambda place: video(place / "clip.webm", "libvpx-vp9"),
    "a file without times": lambda place: video(place / "clip.h264"),
    "a stream of packets": lambda place: video(place / "clip.ts"),
}
LOSSY = {"gif", "mp4", "mov", "vp8", "vp9", "a file without times", "a stream of packets"}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_video_gives_its_frames_in_any_order(kind: str, tmp_path: Path) -> None:
    frames = open_frames(MAKERS[kind](tmp_path))
    assert isinstance(frames, Frames)
    assert (len(frames), frames.size) == (COUNT, (HEIGHT, WIDTH))
    scrubbing = np.random.default_rng(0).integers(0, COUNT, 30).tolist()
    # Neighbours differ by 8 grey levels; coding is off by less than half of that.
    within = 3.5 if kind in LOSSY else 0
    for index in [*range(COUNT), *range(COUNT - 1, -1, -1), *scrubbing, -1]:
        frame = frames[index]
        assert (frame.dtype, frame.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        assert np.abs(frame.astype(int) - PICTURES[index]).mean() <= within, index
    assert sum(1 for _ in frames) == COUNT


def test_what_is_opened_is_not_opened_again() -> None:
    frames = open_frames(PICTURES)
    assert open_frames(frames) is frames


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_a_file_says_how_many_frames_a_second_it_has(kind: str, tmp_path: Path) -> None:
    assert open_frames(MAKERS[kind](tmp_path)).fps == 25


@pytest.mark.parametrize(
    ("bound", "most"), [("KEPT_BYTES", 3 * PICTURES[0].nbytes), ("KEPT_FRAMES", 3)]
)
def test_frames_are_read_when_they_are_asked_for_and_few_are_kept(
    bound: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_frames, bound, most)
    place = folder(tmp_path / "clip")
    frames = open_frames(place)
    shown = [frames[index] for index in (1, 2, 3)]
    shutil.rmtree(place)
    for index, frame in zip((1, 2, 3), shown, strict=True):
        assert frames[index] is frame
    with pytest.raises(FrameError, match=r"frame 0 \(00000.png\) of clip: .* no file"):
        frames[0]


def test_going_back_in_a_file_decodes_each_frame_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = open_frames(video(tmp_path / "clip.mp4"))
    decoded = []
    keep = frames._keep
    monkeypatch.setattr(frames, "_keep", lambda i, frame: decoded.append(i) or keep(i, frame))
    for index in range(COUNT - 1, -1, -1):
        frames[index]
    assert sorted(decoded) == list(range(1, COUNT))  # 0 has been kept since it was opened


def test_no_frame_can_be_changed_by_who_reads_it() -> None:
    own = np.zeros((2, 2, 3), np.uint8)
    frames = open_frames([own])
    with pytest.raises(ValueError, match="read-only"):
        frames[0][:] = 1
    own[:] = 1


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)],
    ids=["90", "180", "270"],
)
def test_a_phone_s_rotation_is_followed(
    tmp_path: Path, matrix: tuple[int, int, int, int], turns: int
) -> None:
    file = video(tmp_path / "clip.mp4")
    content = bytearray(file.read_bytes())
    # The matrix in the track's header: a, b, u, c, d, v, x, y, w, in units of 1/65536.
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    for place, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        content[at + place : at + place + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    frames = open_frames(bytes(content))
    expected = np.rot90(PICTURES[5], turns)
    assert frames[5].shape == expected.shape
    assert np.abs(frames[5].astype(int) - expected).mean() < 3.5


def test_photos_of_a_phone_are_upright_in_a_folder(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURES[5]).save(tmp_path / "0.png", exif=exif)
    assert np.array_equal(open_frames(tmp_path)[0], np.rot90(PICTURES[5], -1))


def spoil(place: Path, content: bytes) -> Callable[[Path], None]:
    return lambda clip: (clip / place).write_bytes(content)


def truncate(clip: Path) -> None:
    file = clip / "00007.png"
    file.write_bytes(file.read_bytes()[:90])


def resize(clip: Path) -> None:
    Image.new("RGB", (32, 24)).save(clip / "00007.png")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda clip: (clip / "00007.png").unlink(), "no file"),
        (lambda clip: (clip / "00007.png").write_bytes(b""), "knows no picture"),
        (lambda clip: (clip / "00007.png").write_text("not a picture"), "knows no picture"),
        (truncate, "save it anew"),
        (resize, "is 32x24 pixels, the first frame 64x48; make them all one size"),
    ],
    ids=["missing", "empty", "no picture", "truncated", "resized"],
)
def test_a_bad_picture_of_a_folder_is_named(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    clip = folder(tmp_path / "clip")
    frames = open_frames(clip)
    harm(clip)
    with pytest.raises(FrameError, match=rf"^frame 7 \(00007.png\) of clip.*{said}"):
        frames[7]
    assert np.array_equal(frames[8], PICTURES[8])


def test_a_bad_array_is_named() -> None:
    with pytest.raises(FrameError, match=r"^frame 2 of a list of 3 pictures: .*NaN"):
        open_frames([PICTURES[0], PICTURES[1], np.full((HEIGHT, WIDTH, 3), np.nan)])[2]


def unreadable(frames: Frames) -> list[int]:
    """The frames that cannot be read; its error names the first of them."""
    errors = {}
    for index in range(len(frames)):
        try:
            frames[index]
        except FrameError as error:
            errors[index] = str(error)
    first = min(errors)
    assert errors[first].startswith(f"frame {first} of ")
    return list(errors)


@pytest.mark.parametrize("ending", ["gif", "png", "mp4"])
def test_a_file_that_was_cut_short_is_read_up_to_there(tmp_path: Path, ending: str) -> None:
    whole = tmp_path / f"clip.{ending}"
    content = video(whole) if ending == "mp4" else animation(whole)
    cut = content.read_bytes()[: int(whole.stat().st_size * 0.8)]
    frames = open_frames(cut)
    lost = unreadable(frames)
    assert COUNT / 2 < lost[0] < COUNT
    assert lost == list(range(lost[0], len(frames)))
    for index in range(lost[0]):
        assert np.abs(frames[index].astype(int) - PICTURES[index]).mean() < 3.5


def test_a_webp_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    file = animation(tmp_path / "clip.webp")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FrameError, match=r"^video: clip\.webp cannot be opened"):
        open_frames(file)


def test_a_damaged_part_of_a_file_leaves_the_rest(tmp_path: Path) -> None:
    file = video(tmp_path / "clip.mp4")
    with av.open(file) as container:
        packets = [packet for packet in container.demux() if packet.size]
        harmed = next(packet for packet in packets[5:] if not packet.is_keyframe)
        start, length = harmed.pos, harmed.size
    content = bytearray(file.read_bytes())
    content[start : start + length] = bytes(length)
    lost = unreadable(open_frames(bytes(content)))
    assert max(lost) < KEY_FRAME_EVERY


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda place: place / "no.mp4", "no file or folder"),
        (lambda place: place, "holds no pictures"),
        (lambda place: "https://example.org/clip.mp4", "not downloaded"),
        (lambda place: (place / "a.mp4").write_bytes(b"") * 0 or place / "a.mp4", "is empty"),
        (lambda place: (place / "a.mp4").write_bytes(b"x" * 99) * 0 or place / "a.mp4", "cannot"),
        (lambda place: [], "has no frames"),
        (lambda place: 7, "wanted the path"),
        (lambda place: Image.new("RGB", (9, 9)), "a list of pictures"),
    ],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, wrong: Callable[[Path], object], said: str
) -> None:
    with pytest.raises(FrameError, match=said):
        open_frames(wrong(tmp_path))


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    clip = folder(tmp_path / "clip")
    Image.fromarray(PICTURES[3]).save(clip / "00003.jpg")
    with pytest.raises(FrameError, match=r"00003\.jpg and 00003\.png"):
        open_frames(clip)


def test_without_pyav_an_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = video(tmp_path / "clip.mp4")
    monkeypatch.setattr(requirements, "missing", list)
    with pytest.raises(requirements.MissingExtra, match=r"pip install 'sam2lab\[video\]'.*ffmpeg"):
        open_frames(file)


def test_frames_can_be_read_by_several_threads(tmp_path: Path) -> None:
    frames = open_frames(video(tmp_path / "clip.mp4"))
    wrong = []

    def read(seed: int) -> None:
        for index in np.random.default_rng(seed).permutation(COUNT).tolist():
            if np.abs(frames[index].astype(int) - PICTURES[index]).mean() > 3.5:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_live_source_gives_frames_without_an_end() -> None:
    camera = live_frames("testsrc=size=64x48:rate=25", "lavfi")
    shown = [next(camera) for _ in range(3)]
    camera.close()
    assert {frame.shape for frame in shown} == {(48, 64, 3)}


def test_an_animation_may_be_in_memory() -> None:
    buffer = io.BytesIO()
    first, *others = map(Image.fromarray, PICTURES[:4])
    first.save(buffer, "WEBP", save_all=True, append_images=others, lossless=True)
    assert len(open_frames(buffer.getvalue())) == 4
