"""A video with the masks painted over it, as mp4 or as an animated WebP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import Image

from sam2lab.widgets.formats.annotated import Files
from sam2lab.widgets.formats.annotated_video import AnnotatedVideo

# Frames that have no time are shown at the speed of films.
USUAL_FPS = 24.0
OPACITY = 0.5
# x264's own scale; at 18 people see no difference, says its documentation.
CRF = "18"


def overlay_mp4(annotated: AnnotatedVideo) -> Files:
    """Make an H.264 video, which browsers play; a frame of odd size gets one more row or column."""
    import av  # only installed with sam2lab[video]

    height, width = annotated.size
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        rate = Fraction(annotated.fps or USUAL_FPS).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": CRF})
        stream.width, stream.height = width + width % 2, height + height % 2
        # Players know no other pixels than those with halved colour, which has even sizes.
        stream.pix_fmt = "yuv420p"
        for rgb in _painted(annotated):
            even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, "rgb24")))
        container.mux(stream.encode(None))
    return {f"{annotated.stem}_overlay.mp4": buffer.getvalue()}


def overlay_webp(annotated: AnnotatedVideo) -> Files:
    """Make an animated WebP, which browsers and notebooks show as a picture."""
    first, *others = (Image.fromarray(rgb) for rgb in _painted(annotated))
    buffer = io.BytesIO()
    duration = round(1000 / (annotated.fps or USUAL_FPS))
    first.save(
        buffer, "WEBP", save_all=True, append_images=others, duration=duration, loop=0, method=0
    )
    return {f"{annotated.stem}_overlay.webp": buffer.getvalue()}


def _painted(annotated: AnnotatedVideo) -> Iterator[npt.NDArray[np.uint8]]:
    """Each frame of the video, with the masks of all objects that are not hidden."""
    shown = [each for each in annotated.objects if not each.is_hidden]
    for index in range(len(annotated.frames)):
        rgb = annotated.frames[index].copy()
        for each in shown:
            answer = each.answers.get(index)
            if answer is None or not answer.area:
                continue
            x0, y0, x1, y1 = answer.packed.box
            part, inside = rgb[y0:y1, x0:x1], answer.mask[y0:y1, x0:x1]
            colour = np.array([int(each.colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
            mixed = (1 - OPACITY) * part[inside] + OPACITY * colour
            part[inside] = np.rint(mixed).astype(np.uint8)
        yield rgb
