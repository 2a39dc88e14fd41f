"""Polygons around masks, from which each format's own readers make the same mask again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from sam2lab.widgets.session.packed import Mask

Ints = npt.NDArray[np.int64]

# Directions of the edges around a pixel that have it on their right.
EAST, SOUTH, WEST, NORTH = range(4)
# Which neighbour (dx, dy) must be missing for a pixel to have an edge in that direction, and
# where from the pixel's upper left corner that edge starts and ends.
EDGES = {
    EAST: ((0, -1), (0, 0), (1, 0)),
    SOUTH: ((1, 0), (1, 0), (1, 1)),
    WEST: ((0, 1), (1, 1), (0, 1)),
    NORTH: ((-1, 0), (0, 1), (0, 0)),
}


class _Loop(NamedTuple):
    """A closed walk along pixel edges, the mask on its right.

    One row an edge: `ends` (N, 2) where it ends, `pixels` (N, 2) the pixel beside it, both
    (x, y); `sides` (N,) its direction.
    """

    ends: Ints
    pixels: Ints
    sides: Ints

    @property
    def is_hole(self) -> bool:
        x, y = self.ends.T
        # Twice the area, positive for a walk that has its inside on the right.
        return bool(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0)


def polygons(mask: Mask, *, through_pixels: bool) -> list[Ints]:
    """One polygon (N, 2) of (x, y) for each part of a mask (H, W), its holes cut in.

    Parts touch by side or corner. A polygon runs along the edges of the pixels, so that its
    area is the mask's (what pycocotools reads). With `through_pixels` it runs through the
    middle of the outermost pixels instead, named by their index: for readers that paint the
    line itself, as OpenCV's `fillPoly` and Pillow's `polygon` do. A hole is joined to what is
    around it by a cut of no width, there and back, within the mask.

    >>> mask = np.zeros((5, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> polygons(mask, through_pixels=False)[0].tolist()
    [[5, 1], [5, 3], [2, 3], [2, 1]]
    >>> polygons(mask, through_pixels=True)[0].tolist()
    [[4, 1], [4, 2], [2, 2], [2, 1]]
    """
    loops = _loops(mask)
    walks = [loop.pixels if through_pixels else loop.ends for loop in loops]
    # Every edge with nothing to its west, by its pixel: a hole's way out ends at one of them.
    west = {
        (x, y): (number, at)
        for number, loop in enumerate(loops)
        for at, side in enumerate(loop.sides.tolist())
        if side == NORTH
        for x, y in (loop.pixels[at].tolist(),)
    }
    cuts: list[list[tuple[int, Ints]]] = [[] for _ in loops]
    holes = [number for number, loop in enumerate(loops) if loop.is_hole]
    # From right to left: what a hole is joined to lies further left, so whatever is joined to
    # a hole has been by its turn.
    for number in sorted(holes, key=lambda n: int(loops[n].ends[:, 0].min()), reverse=True):
        loop = loops[number]
        beside = int(np.argmin(np.where(loop.sides == SOUTH, loop.pixels[:, 0], mask.shape[1])))
        x, y = loop.pixels[beside].tolist()
        outside = np.flatnonzero(~mask[y, :x])
        target, at = west[int(outside[-1]) + 1 if len(outside) else 0, y]
        # An edge begins where the one before it ends.
        start = beside if through_pixels else beside - 1
        cuts[target].append((at, _opened(walks[number], start, cuts[number])))
    return [
        _straightened(_opened(walk, 0, cut)[:-1])
        for loop, walk, cut in zip(loops, walks, cuts, strict=True)
        if not loop.is_hole
    ]


def one_polygon(parts: list[Ints]) -> Ints:
    """Several polygons as one, joined by lines of no width between their nearest corners."""
    whole = parts[0]
    for part in parts[1:]:
        distances, nearest = cKDTree(whole).query(part)
        start = int(np.argmin(distances))
        at = int(nearest[start])
        whole = np.concatenate([whole[: at + 1], _opened(part, start, []), whole[at:]])
    return whole


def _loops(mask: Mask) -> list[_Loop]:
    """All walks along the edges of a mask; where two pixels touch by a corner, on to the other."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    rows, columns = np.nonzero(mask & ~inner)
    starts, ends, pixels, sides = [], [], [], []
    for direction, ((dx, dy), begin, stop) in EDGES.items():
        bare = ~padded[rows + 1 + dy, columns + 1 + dx]
        beside = np.stack([columns[bare], rows[bare]], axis=1)
        pixels.append(beside)
        starts.append(beside + begin)
        ends.append(beside + stop)
        sides.append(np.full(len(beside), direction))
    end, pixel, side = (np.concatenate(parts) for parts in (ends, pixels, sides))
    corner_number = np.array([1, mask.shape[1] + 1])
    keys = 4 * (np.concatenate(starts) @ corner_number) + side
    following = _following(keys, end @ corner_number, side)
    return [_Loop(end[walk], pixel[walk], side[walk]) for walk in _cycles(following)]


def _following(keys: Ints, ends: Ints, sides: Ints) -> Ints:
    """For each edge the next one: the leftmost of those that start where it ends.

    `keys` name an edge by the corner that it starts from, times four, plus its direction.
    """
    order = np.argsort(keys)
    following = np.full(len(keys), -1)
    for turn in (1, 0, -1):  # right, straight, left: the last one found stays
        wanted = 4 * ends + (sides + turn) % 4
        found = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
        following = np.where(keys[found] == wanted, found, following)
    return following


def _cycles(following: Ints) -> list[list[int]]:
    """The cycles of a permutation."""
    steps = following.tolist()
    seen = bytearray(len(steps))
    cycles = []
    for first in range(len(steps)):
        cycle = []
        while not seen[first]:
            seen[first] = True
            cycle.append(first)
            first = steps[first]
        if cycle:
            cycles.append(cycle)
    return cycles


def _opened(walk: Ints, start: int, cuts: list[tuple[int, Ints]]) -> Ints:
    """A closed walk from the point `start` back to that point, with its cuts inserted.

    A cut is the index of a point, and an opened walk to go there and back from that point.
    """
    turned = np.roll(walk, -start, axis=0)
    pieces: list[Ints] = []
    done = 0
    for at, cut in sorted(cuts, key=lambda each: (each[0] - start) % len(walk)):
        here = (at - start) % len(walk)
        pieces += [turned[done : here + 1], cut]
        done = here
    return np.concatenate([*pieces, turned[done:], turned[:1]])


def _straightened(walk: Ints) -> Ints:
    """A closed walk without points that repeat or lie on a straight line; at least three."""
    moved = walk[np.any(walk != np.roll(walk, 1, axis=0), axis=1)]
    if len(moved):
        coming = np.sign(moved - np.roll(moved, 1, axis=0))
        moved = moved[np.any(coming != np.roll(coming, -1, axis=0), axis=1)]
    # A single pixel, or a line of them, is a polygon that comes back the way it went.
    corners = moved if len(moved) else walk[:1]
    return corners if len(corners) > 2 else np.resize(corners, (3, 2))
