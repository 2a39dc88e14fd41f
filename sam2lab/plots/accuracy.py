"""Draw accuracy: boxes by engine, the mean by clicks and size, and masks beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from sam2lab.plots import style

# How far corrections are shown among the boxes; papers ask how many clicks reach these IoUs.
CLICKS_SHOWN = (1, 3, 10)
TARGETS = (0.85, 0.90)


class Example(Protocol):
    """One object of a photo (H, W, 3), the truth (H, W), and each engine's answer with its IoU.

    An answer has `best` (H, W), and its prompt in pixels of the photo: `points` (P, 2) with
    `labels` (P,), and a `box` (4,) or None.
    """

    title: str
    photo: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.bool_]
    answers: Mapping[str, Any]
    ious: Mapping[str, float]


def jaccard_boxes(table: pd.DataFrame) -> Figure:
    """Box plots of the IoU with the truth, by prompt and engine, of `accuracy.evaluate`.

    A box reaches from quartile to quartile around the median, whiskers to the 5th and 95th
    percentile; the diamond is the mean. Answers after 1, 3 and 10 clicks are shown.
    """
    groups = _by_prompt(table)
    engines = list(table["engine"].unique())
    figure = style.Picture(2 + 1.5 * len(groups), 4.2)
    axes = figure.add_subplot()
    width = 0.8 / len(engines)
    for number, engine in enumerate(engines):
        places = np.arange(len(groups)) + (number - (len(engines) - 1) / 2) * width
        boxes = axes.boxplot(
            [rows.loc[rows["engine"] == engine, "iou"].to_numpy() for rows in groups.values()],
            positions=places,
            widths=0.8 * width,
            whis=(5, 95),
            showfliers=False,
            showmeans=True,
            patch_artist=True,
            medianprops={"color": style.BLACK},
            meanprops={"marker": "D", "markersize": 4, "markerfacecolor": "white"}
            | {"markeredgecolor": style.BLACK},
        )
        for box in boxes["boxes"]:
            box.set_facecolor(style.colour(number))
    names = [
        f"{name}\n({rows.groupby('engine').size().max():,} objects)"
        for name, rows in groups.items()
    ]
    axes.set_xticks(np.arange(len(groups)), names)
    axes.set_ylim(-0.02, 1.02)
    axes.set(xlabel="prompt", ylabel="IoU with the truth", title="How well do the masks fit?")
    style.plain(axes, values="y")
    handles = [Patch(facecolor=style.colour(i), label=name) for i, name in enumerate(engines)]
    figure.explain(4, handles=handles)
    return figure


def iou_by_clicks(summary: pd.DataFrame) -> Figure:
    """The mean IoU after each click, with its 95 % band, of `summarise_accuracy`."""
    figure = style.Picture(7, 4)
    axes = figure.add_subplot()
    clicked = summary[summary["kind"] == "clicks"]
    groups = dict(iter(clicked.groupby("engine", sort=False)))
    for number, (engine, rows) in enumerate(groups.items()):
        colour = style.colour(number)
        # The lines of engines that do equally well lie on each other: the lower ones are thicker.
        width = 1.5 * (len(groups) - number)
        axes.plot(
            rows["clicks"],
            rows["mean"],
            marker="o",
            markersize=3 * width,
            linewidth=width,
            color=colour,
            label=engine,
        )
        axes.fill_between(rows["clicks"], rows["low"], rows["high"], color=colour, alpha=0.2)
    for target in TARGETS:
        axes.axhline(target, color=style.GREY, linestyle="--", linewidth=1)
    most = int(clicked["clicks"].max())
    axes.set_xticks(range(1, most + 1, 1 + most // 12))
    axes.set_ylim(0, 1)
    axes.set_xlabel("clicks, each on the larger mistake")
    axes.set_ylabel("mean IoU with the truth")
    axes.set_title("What does another click bring?")
    style.plain(axes, values="y")
    figure.explain(4)
    return figure


def iou_by_size(summary: pd.DataFrame) -> Figure:
    """The mean IoU with its 95 % interval by size, of `summarise_accuracy(table, by=["size"])`.

    Each prompt has a panel; answers after 1, 3 and 10 clicks are shown.
    """
    groups = _by_prompt(summary)
    sizes = [size for size in ("small", "medium", "large") if size in set(summary["size"])]
    engines = list(summary["engine"].unique())
    figure = style.Picture(1 + 2.4 * len(groups), 3.6)
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    for axes, (prompt, rows) in zip(panels, groups.items(), strict=True):
        for number, engine in enumerate(engines):
            own = rows[rows["engine"] == engine].set_index("size").reindex(sizes)
            places = np.arange(len(sizes)) + 0.15 * (number - (len(engines) - 1) / 2)
            spread = [own["mean"] - own["low"], own["high"] - own["mean"]]
            axes.errorbar(
                places, own["mean"], spread, fmt="o", color=style.colour(number), label=engine
            )
        axes.set_xticks(np.arange(len(sizes)), sizes)
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.set_ylim(0, 1)
        axes.set(xlabel="size of the object", title=prompt)
        style.plain(axes, values="y")
    panels[0].set_ylabel("mean IoU with the truth")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.explain(4, handles=handles, labels=labels)
    return figure


def beside_truth(examples: Sequence[Example]) -> Figure:
    """A row for each example: every engine's mask on the photo with its prompt, then the truth."""
    engines = list(examples[0].answers)
    heights = [example.photo.shape[0] / example.photo.shape[1] for example in examples]
    side = 3.2
    figure = style.Picture(
        side * (len(engines) + 1), sum(side * height + 0.35 for height in heights)
    )
    rows = figure.subplots(
        len(examples), len(engines) + 1, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for panels, example in zip(rows, examples, strict=True):
        for axes, engine in zip(panels, engines, strict=False):
            _panel(axes, example.photo, example.answers[engine].best, style.SKY)
            _draw_prompt(axes, example.answers[engine])
            axes.set_title(f"{engine}: IoU {example.ious[engine]:.2f}", fontsize=9)
        _panel(panels[-1], example.photo, example.truth, style.ORANGE)
        panels[-1].set_title("truth", fontsize=9)
        panels[0].set_ylabel(example.title, fontsize=9)
    return figure


def _panel(
    axes: Any, photo: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_], colour: str
) -> None:
    axes.imshow(photo)
    # A mask may be a single pixel, and a photo of the same colour: a white outline shows it.
    style.show_mask(axes, mask, colour, 0.6, outline="white")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_prompt(axes: Any, answer: Any) -> None:
    style.show_clicks(axes, answer.points, answer.labels == 1, 50)
    if answer.box is not None:
        x0, y0, x1, y1 = answer.box
        corner = (x0 - 0.5, y0 - 0.5)  # imshow puts the middle of the first pixel at 0
        axes.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=style.GREEN, lw=2))


def _by_prompt(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each prompt by its name, with only the numbers of clicks that are shown."""
    shown = table[(table["kind"] != "clicks") | table["clicks"].isin(CLICKS_SHOWN)]
    groups = shown.groupby(["kind", "clicks"], sort=False)
    return {_prompt(kind, clicks): rows for (kind, clicks), rows in groups}


def _prompt(kind: str, clicks: int) -> str:
    """
    >>> _prompt("clicks", 1), _prompt("clicks", 3), _prompt("box", 0)
    ('1 click', '3 clicks', 'box')
    """
    if kind != "clicks":
        return kind
    return "1 click" if clicks == 1 else f"{clicks} clicks"
