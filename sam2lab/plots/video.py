"""Draw what is followed through a video, what is remembered of it, and what that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure

from sam2lab.plots import style

OBJECTS = (style.SKY, style.ORANGE, style.GREEN, style.PURPLE, style.YELLOW, style.VERMILLION)
"""Colours of objects, in their order."""

OPACITY = 0.6
WIDTH, WIDEST, PANELS = 12.0, 4.0, 6

# What a frame looks at, and how it is drawn.
LOOKS = {
    "memory of a prompted frame": style.ORANGE,
    "memory of a followed frame": style.BLUE,
    "pointer alone": style.PALE,
    "answered now": style.BLACK,
}

Frame = npt.NDArray[np.uint8]
# (N, H, W) of the N objects, in their order.
Masks = npt.NDArray[np.bool_]


def film_strip(
    frames: Any,
    found: Mapping[int, Masks],
    *more: Mapping[int, Masks],
    shown: Sequence[int] | None = None,
    clicks: Mapping[int, Sequence[tuple[float, float, int]]] | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Frames from left to right with the masks (N, H, W) that were `found` on them, by frame.

    Each object has a colour. `frames` gives (H, W, 3) by number; `shown` are the frames to draw, by
    default some from all of them. Every further mapping of masks has a row of its own, named by
    `names`. `clicks` on frames are (x, y, label).
    """
    rows = (found, *more)
    numbers = _spread(sorted(found)) if shown is None else list(shown)
    lacking = [number for number in numbers if any(number not in row for row in rows)]
    if lacking or not numbers:
        raise ValueError(
            f"shown has {'no frames' if not numbers else f'frame {lacking[0]}'}; wanted some of "
            f"those that have masks, {sorted(found)}"
        )
    height, width = frames[numbers[0]].shape[:2]
    each = min(WIDTH / len(numbers), WIDEST)
    figure = style.Picture(each * len(numbers), 0.35 + len(rows) * each * height / width)
    panels = figure.subplots(len(rows), len(numbers), squeeze=False)
    for place, row in enumerate(rows):
        for axes, number in zip(panels[place], numbers, strict=True):
            _show(axes, frames[number], row[number])
            for x, y, label in (clicks or {}).get(number, ()):
                style.show_clicks(axes, np.array([[x, y]]), np.array([label == 1]), 60)
            if place == 0:
                axes.set_title(f"frame {number}", fontsize=9)
    for axes, name in zip(panels[:, 0], names, strict=False):
        axes.set_ylabel(name)
    return figure


def presence(
    scores: Mapping[str, Sequence[float]],
    gone: Mapping[str, Sequence[int]] | None = None,
    labels: Sequence[int] | None = None,
) -> Figure:
    """Each object's score over the frames: above 0, the model says that the object is there.

    `gone` are the frames on which an object cannot be seen, which get a band in its colour;
    `labels` are the numbers of the frames, 0, 1, … by default.
    """
    figure = style.Picture(9, 1 + 1.3 * len(scores))
    panels = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
    highest = max(max(values) for values in scores.values())
    lowest = min(min(values) for values in scores.values())
    for place, (axes, (name, values)) in enumerate(zip(panels, scores.items(), strict=True)):
        numbers = list(range(len(values))) if labels is None else list(labels)
        colour = OBJECTS[place % len(OBJECTS)]
        for number in (gone or {}).get(name, ()):
            axes.axvspan(number - 0.5, number + 0.5, color=style.PALE, linewidth=0)
        axes.axhline(0, color=style.BLACK, linewidth=1, linestyle="--")
        axes.plot(numbers, values, color=colour, marker="o", markersize=4)
        axes.set_ylim(min(lowest, -1) - 0.5, max(highest, 1) + 0.5)
        axes.set_ylabel(name)
        style.plain(axes, "y")
    panels[0].set_title("object score: above the line, the model says “there”; grey: it is not")
    panels[-1].set_xlabel("frame")
    panels[-1].locator_params("x", integer=True)
    return figure


def looks_at(chosen: Mapping[int, Any]) -> Figure:
    """What each frame looks at, a row for each, from what `bank.choose` says of it.

    Frames between that are not `chosen` are taken for prompted ones, which look at nothing. Each of
    `chosen` has `memories` (frame, age) and `pointers` (frame, distance); the highest age
    is that of prompted frames.
    """
    first, last = min(chosen), max(chosen)
    looked = [frame for each in chosen.values() for frame, _ in each.memories]
    prompted = max(age for each in chosen.values() for _, age in each.memories)
    count = 1 + max([last, *looked])
    kinds = {name: number for number, name in enumerate(LOOKS, start=1)}
    grid = np.zeros((last - first + 1, count), int)
    for number in range(first, last + 1):
        row = grid[number - first]
        if number in chosen:
            row[[frame for frame, _ in chosen[number].pointers]] = kinds["pointer alone"]
            for frame, age in chosen[number].memories:
                kind = "prompted" if age == prompted else "followed"
                row[frame] = kinds[f"memory of a {kind} frame"]
        row[number] = kinds["answered now"]
    figure = style.Picture(7, 1.2 + 6 * len(grid) / count)
    axes = figure.add_subplot()
    colours = ListedColormap([to_rgba("white"), *(to_rgba(each) for each in LOOKS.values())])
    across, down = np.arange(count + 1) - 0.5, np.arange(first, last + 2) - 0.5
    axes.pcolormesh(
        across, down, grid, cmap=colours, vmin=0, vmax=len(LOOKS), edgecolors="white", linewidth=1
    )
    axes.locator_params(integer=True)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set(xlabel="frame that is looked at", ylabel="frame that is answered")
    axes.spines[:].set_visible(False)
    marks = [style.dot(colour, label, "s", markersize=8) for label, colour in LOOKS.items()]
    figure.explain(2, handles=marks)
    return figure


def memories(frames: Sequence[Frame], found: Sequence[npt.NDArray[Any]]) -> Figure:
    """Each frame above its memory (h, w, D), whose first three principal components are colours.

    The components are those of all memories together, so that equal colours mean the same.
    """
    rows = np.concatenate([each.reshape(-1, each.shape[-1]) for each in found]).astype(np.float64)
    rows -= rows.mean(axis=0)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    components = rows @ vectors[:, ::-1][:, :3]
    share = values[::-1][:3].sum() / max(values.sum(), 1e-12)
    low, high = np.percentile(components, (1, 99), axis=0)
    colours = np.clip((components - low) / np.maximum(high - low, 1e-12), 0, 1)
    pictures = np.split(colours, np.cumsum([each[..., 0].size for each in found])[:-1])
    height, width = frames[0].shape[:2]
    each = min(WIDTH / len(frames), WIDEST)
    figure = style.Picture(each * len(frames), 0.6 + 2 * each * height / width)
    panels = figure.subplots(2, len(frames), squeeze=False)
    for column, (frame, memory, picture) in enumerate(zip(frames, found, pictures, strict=True)):
        panels[0, column].imshow(frame)
        # A memory has a cell for each patch of the stretched frame.
        panels[1, column].imshow(
            picture.reshape(*memory.shape[:2], 3), extent=(0, width, height, 0)
        )
        for axes in panels[:, column]:
            _bare(axes)
    panels[0, 0].set_ylabel("frame")
    panels[1, 0].set_ylabel("memory")
    figure.suptitle(
        f"three principal components of the {found[0].shape[-1]} numbers of a cell: {share:.0%} of "
        "what differs",
        fontsize=10,
    )
    return figure


def cells_over(
    frame: Frame, cells: Mapping[str, npt.NDArray[Any]], legend: str = "low to high"
) -> Figure:
    """A frame, and beside it one number for each cell (h, w) by name, all on one scale."""
    height, width = frame.shape[:2]
    columns = 1 + len(cells)
    figure = style.Picture(WIDTH, 0.6 + WIDTH / columns * height / width)
    panels = figure.subplots(1, columns)
    panels[0].imshow(frame)
    highest = max(float(each.max()) for each in cells.values())
    for axes, (name, each) in zip(panels[1:], cells.items(), strict=True):
        axes.imshow(frame.mean(axis=-1), cmap="gray", vmax=400)
        drawn = axes.imshow(
            each, cmap="magma", extent=(0, width, height, 0), alpha=0.75, vmin=0, vmax=highest
        )
        axes.set_title(name, fontsize=10)
    for axes in panels:
        _bare(axes)
    figure.colorbar(drawn, ax=panels[1:], shrink=0.8, label=legend)
    return figure


def _show(axes: Any, frame: Frame, masks: Masks) -> None:
    axes.imshow(frame)
    for place, mask in enumerate(masks):
        colour = OBJECTS[place % len(OBJECTS)]
        style.show_mask(axes, mask, colour, OPACITY, outline=colour)
    _bare(axes)


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _spread(numbers: Sequence[int]) -> list[int]:
    """Some numbers from all of them, the first and the last among them."""
    places = np.linspace(0, len(numbers) - 1, min(PANELS, len(numbers))).round().astype(int)
    return [numbers[place] for place in places]
