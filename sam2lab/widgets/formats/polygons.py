"""Polygons around masks, from which the readers of each format make the same masks again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.masks import Mask

Ints = npt.NDArray[np.int64]

# The directions in which a walk with the pixel on its right goes along the pixel's edges.
EAST, SOUTH, WEST, NORTH = range(4)
# For each direction: the neighbour (dx, dy) that must be missing for a pixel to have that edge,
# and where the edge starts and ends, seen from the pixel's upper left corner.
EDGES = {
    EAST: ((0, -1), (0, 0), (1, 0)),
    SOUTH: ((1, 0), (1, 0), (1, 1)),
    WEST: ((0, 1), (1, 1), (0, 1)),
    NORTH: ((-1, 0), (0, 1), (0, 0)),
}


class _Loop(NamedTuple):
    """A closed walk along pixel edges, the mask on its right.

    Each edge is one row: `ends` (N, 2) is where it ends, `pixels` (N, 2) the pixel beside it,
    both (x, y), and `sides` (N,) its direction.
    """

    ends: Ints
    pixels: Ints
    sides: Ints

    @property
    def is_hole(self) -> bool:
        x, y = self.ends.T
        # Twice the area: positive for a walk with its inside on the right.
        return bool(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) < 0)


def polygons(mask: Mask, *, through_pixels: bool) -> list[Ints]:
    """One polygon (N, 2) of (x, y) for each part of a mask (H, W), its holes cut in.

    Pixels that touch by side or corner are one part. A polygon runs along the edges of the
    pixels, so that its area is that of the mask, as pycocotools reads it. With `through_pixels`
    it runs through the middles of the outermost pixels instead, in whole numbers, for readers
    that paint the line too, as OpenCV's `fillPoly` and Pillow's `polygon` do. A cut of no width,
    there and back within the mask, joins a hole to what surrounds it.

    >>> mask = np.zeros((5, 6), bool)
    >>> mask[1:3, 2:5] = True
    >>> polygons(mask, through_pixels=False)[0].tolist()
    [[5, 1], [5, 3], [2, 3], [2, 1]]
    >>> polygons(mask, through_pixels=True)[0].tolist()
    [[4, 1], [4, 2], [2, 2], [2, 1]]
    """
    loops = _loops(mask)
    walks = [loop.pixels if through_pixels else loop.ends for loop in loops]
    # All edges with nothing to their west, by their pixel: the cut from a hole ends at one.
    west = {
        (x, y): (number, at)
        for number, loop in enumerate(loops)
        for at, side in enumerate(loop.sides.tolist())
        if side == NORTH
        for x, y in (loop.pixels[at].tolist(),)
    }
    cuts: list[list[tuple[int, Ints]]] = [[] for _ in loops]
    holes = [number for number, loop in enumerate(loops) if loop.is_hole]
    # From right to left: a hole is joined to a loop further left, so all that is joined to this
    # hole has been handled before it.
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
    """Join polygons into one by lines of no width between their nearest corners."""
    from scipy.spatial import cKDTree  # slow to import, and only YOLO needs it

    whole = parts[0]
    for part in parts[1:]:
        distances, nearest = cKDTree(whole).query(part)
        start = int(np.argmin(distances))
        at = int(nearest[start])
        whole = np.concatenate([whole[: at + 1], _opened(part, start, []), whole[at:]])
    return whole


def _loops(mask: Mask) -> list[_Loop]:
    """Find all walks along a mask's edges; pixels that touch by a corner are in one walk."""
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
    """Find the next edge of each edge: the leftmost of those that start where it ends.

    The key of an edge is the number of its first corner, times four, plus its direction.
    """
    order = np.argsort(keys)
    following = np.full(len(keys), -1)
    for turn in (1, 0, -1):  # right, straight, left: the last that exists wins
        wanted = 4 * ends + (sides + turn) % 4
        found = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
        following = np.where(keys[found] == wanted, found, following)
    return following


def _cycles(following: Ints) -> list[list[int]]:
    """Split a permutation into its cycles."""
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
    """Write out a closed walk from the point `start` back to it, with its cuts inserted.

    A cut is the index of a point, and an opened walk that starts and ends at that point.
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
    """Remove points that repeat or lie on a straight line; at least three points stay."""
    moved = walk[np.any(walk != np.roll(walk, 1, axis=0), axis=1)]
    if len(moved):
        coming = np.sign(moved - np.roll(moved, 1, axis=0))
        moved = moved[np.any(coming != np.roll(coming, -1, axis=0), axis=1)]
    # The polygon of a single pixel or of a line goes there and comes back the same way.
    corners = moved if len(moved) else walk[:1]
    return corners if len(corners) > 2 else np.resize(corners, (3, 2))
