"""Draws docs/house.svg: the folders of sam2lab, each above all that it imports.

python -m docs.house
"""

from __future__ import annotations

from pathlib import Path

from tests.imports import imports_of

MODULES = imports_of(Path(__file__).resolve().parents[1] / "sam2lab")
PICTURE = Path(__file__).with_name("house.svg")
ROOMS = {
    "cli": "python -m sam2lab",
    "opening": "open_segmenter",
    "peers": "our export beside others'",
    "train": "the classroom model",
    "export": "torch to files",
    "hub": "Qualcomm's cloud",
    "qnn": "files for Qualcomm's NPUs",
    "litert": "files for phones",
    "quantize": "files to 8 bits",
    "measure": "engines to tables",
    "widgets": "the clicker",
    "web": "a page that segments",
    "remote": "an engine over HTTP",
    "reference": "the original model",
    "scenes": "pictures with masks",
    "graphs": "ONNX files",
    "plots": "tables to figures",
    "runtime": "serve a model: photos and prompts in, masks out",
    "settings": "budget and folders",
    "jupyter": "server settings",
}
WIDTH, HEIGHT, GAP = 960, 56, 10
PLAIN, TORCH = "#dbeafe", "#fde2c8"


def imports(room: str) -> set[str]:
    """The top names that a room's modules import: rooms of sam2lab, and other packages."""
    names = set()
    for module, found in MODULES.items():
        if _room(module) == room:
            names |= {_room(name) for name in found.own}
            names |= {name.partition(".")[0] for name in found.others}
    return names - {room}


def _room(module: str) -> str:
    return module.removeprefix("sam2lab.").partition(".")[0]


def floors() -> list[list[str]]:
    """The rooms by floor, the ground last: each room stands one above the highest it imports."""
    below = {room: imports(room) & set(ROOMS) for room in ROOMS}
    height: dict[str, int] = {}
    while len(height) < len(ROOMS):
        for room, needed in below.items():
            if needed <= set(height):
                height.setdefault(room, 1 + max((height[each] for each in needed), default=-1))
    return [
        [room for room in ROOMS if height[room] == floor]
        for floor in reversed(range(max(height.values()) + 1))
    ]


def draw() -> str:
    """The picture as SVG."""
    shapes = []
    rows = floors()
    for row, rooms in enumerate(rows):
        width = (WIDTH - GAP * (len(rooms) - 1)) / len(rooms)
        for column, room in enumerate(rooms):
            x, y = column * (width + GAP), row * (HEIGHT + GAP)
            colour = TORCH if "torch" in imports(room) else PLAIN
            middle = f'x="{x + width / 2:.0f}" text-anchor="middle"'
            shapes += [
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{HEIGHT}" rx="6" '
                f'fill="{colour}"/>',
                f'<text {middle} y="{y + 23}" font-weight="bold">{room}</text>',
                f'<text {middle} y="{y + 42}" font-size="12">{ROOMS[room]}</text>',
            ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
            f'{len(rows) * (HEIGHT + GAP) - GAP}" font-family="sans-serif" font-size="15" '
            'fill="#1f2937">',
            *shapes,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
