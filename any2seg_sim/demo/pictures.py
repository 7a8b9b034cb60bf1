# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What one output looks like: the sensors' views, the labels in colour, the truth, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from any2seg_core.config import UNTRAINED
from any2seg_core.frames import UNLABELLED, Modality, subset_key
from any2seg_ros.replay.show.theme import LIGHT, Theme
from any2seg_sim.demo.drawing import SENSOR_NAMES, font_of
from any2seg_sim.demo.record import read_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_core.frames import ClassTable
    from any2seg_sim.demo.record import DemoRecord, OutputRecord

USED, IDLE, DEAD, NOTHING = "used", "alive, not used", "dead", "none"
_BACKGROUNDS: Final = (Modality.RGB, Modality.DEPTH, Modality.LIDAR, Modality.EVENT, Modality.NIR)
_LABEL_OPACITY: Final = 0.55
_LABEL_OPACITY_ON_DARK: Final = 0.75
_POINT_PX: Final = 5
"""LiDAR points are shown so large: single pixels vanish in a small picture."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a moment.

    Attributes:
        name: what it shows, for the reader.
        state: USED, IDLE, DEAD, or NOTHING for pictures that are no sensor's.
        pixels: (h, w, 3) uint8; None when there is nothing to show.
        sensor: the sensor, None for labels and truth.
        note: replaces the state in the caption.
    """

    name: str
    state: str
    pixels: NDArray[np.uint8] | None
    sensor: Modality | None = None
    note: str = ""


def tiles(record: DemoRecord, output: OutputRecord) -> list[Tile]:
    """Show a moment: a tile for each sensor, then the labels and, where known, the truth."""
    shown = [sensor_tile(record, output, modality) for modality in record.sensors]
    maker = "untrained weights" if record.weights == UNTRAINED else "by any2seg"
    shown.append(Tile("Labels", NOTHING, record.classes.colourize(read_picture(output.labels)), note=maker))
    if output.truth is not None:
        shown.append(Tile("Truth", NOTHING, record.classes.colourize(read_picture(output.truth)), note="reference"))
    return shown


def sensor_tile(record: DemoRecord, output: OutputRecord, modality: Modality) -> Tile:
    """Show what a sensor saw when the output was made, or that it was dead."""
    name, view = SENSOR_NAMES[modality], output.views.get(modality)
    pixels = None if view is None else in_colour(read_picture(view))
    if pixels is not None and modality is Modality.LIDAR:
        pixels = np.asarray(Image.fromarray(pixels).filter(ImageFilter.MaxFilter(_POINT_PX)))
    if modality in output.used:
        return Tile(name, USED, pixels, modality)
    if record.alive_at(modality, output.received_s - output.latency_ms / 1000):
        return Tile(name, IDLE, pixels, modality)
    return Tile(name, DEAD, None, modality)


def in_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give a grey picture three channels."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def overlay(record: DemoRecord, output: OutputRecord) -> tuple[NDArray[np.uint8], Modality | None]:
    """Lay the labels over what a living sensor saw.

    Returns:
        (H, W, 3) uint8, and the sensor beneath the labels: the camera if it served, else the next best one;
        None when no view is known and the labels stand alone.
    """
    labels = read_picture(output.labels)
    colours = record.classes.colourize(labels)
    beneath = next((m for m in _BACKGROUNDS if m in output.used and m in output.views), None)
    if beneath is None:
        return colours, None
    size = labels.shape[1], labels.shape[0]
    seen = Image.fromarray(in_colour(read_picture(output.views[beneath]))).resize(size)
    strength = _LABEL_OPACITY if beneath is Modality.RGB else _LABEL_OPACITY_ON_DARK
    opacity = np.where(labels == UNLABELLED, 0.0, strength)[..., None]
    blended: NDArray[np.uint8] = (opacity * colours + (1 - opacity) * np.asarray(seen)).astype(np.uint8)
    return blended, beneath


def seen_classes(record: DemoRecord) -> list[int]:
    """Tell which classes occur in labels or truth, the most frequent first."""
    counts = np.zeros(256, np.int64)
    for output in record.outputs:
        for picture in (output.labels, output.truth):
            if picture is not None:
                counts += np.bincount(read_picture(picture).ravel(), minlength=256)
    order = np.argsort(-counts[: len(record.classes)], kind="stable")
    return [int(k) for k in order if counts[k]]


def moments(record: DemoRecord, *, at_most: int = 6) -> list[OutputRecord]:
    """Choose outputs that tell the story: from the middle of each time that one set of sensors served.

    Where there are too many, each set of sensors is shown once before any is shown again, long times first.
    """
    runs = [list(run) for _, run in groupby(record.outputs, key=lambda output: subset_key(output.used))]
    by_length = sorted(runs, key=len, reverse=True)
    firsts = {subset_key(run[0].used): run for run in reversed(by_length)}
    chosen = sorted(firsts.values(), key=len, reverse=True)
    chosen += [run for run in by_length if not any(run is other for other in chosen)]
    middles = [run[len(run) // 2] for run in chosen[:at_most]]
    return sorted(middles, key=lambda output: output.received_s)


def fitted(pixels: NDArray[np.uint8], width: int, height: int, ground: str) -> Image.Image:
    """Scale a picture to fit into width x height, keeping its shape, and centre it on a plain ground."""
    factor = min(width / pixels.shape[1], height / pixels.shape[0])
    size = max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor))
    canvas = Image.new("RGB", (width, height), ground)
    method = Image.Resampling.BILINEAR if factor > 1 else Image.Resampling.BOX
    canvas.paste(Image.fromarray(pixels).resize(size, method), ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def painted_tile(tile: Tile, width: int, height: int, theme: Theme) -> Image.Image:
    """Paint a tile with its caption beneath, width x (height + 24); a dead sensor's is hatched and struck out."""
    canvas = Image.new("RGB", (width, height + 24), theme["card"])
    draw = ImageDraw.Draw(canvas)
    if tile.pixels is not None:
        canvas.paste(fitted(tile.pixels, width, height, theme["soft"]), (0, 0))
    else:
        _paint_absence(draw, tile, (width, height), theme)
    if tile.state == USED and tile.sensor is not None:
        draw.rectangle((0, 0, width - 1, height - 1), None, theme[tile.sensor.value], 3)
    caption, ink = tile.name, theme["ink"] if tile.state != DEAD else theme["bad"]
    draw.text((2, height + 17), caption, ink, font_of(14), "ls")
    end = 2 + draw.textlength(caption, font_of(14))
    if tile.state == DEAD:
        draw.line((0, height + 13, end + 2, height + 13), ink, 2)
    draw.text((end + 8, height + 17), tile.note or tile.state, theme["muted"], font_of(12), "ls")
    return canvas


def _paint_absence(draw: ImageDraw.ImageDraw, tile: Tile, size: tuple[int, int], theme: Theme) -> None:
    (width, height), dead = size, tile.state == DEAD
    draw.rectangle(
        (0, 0, width - 1, height - 1), theme["bad-soft" if dead else "soft"], theme["bad" if dead else "line"]
    )
    text = f"{tile.name} dead" if dead else "no picture"
    if dead:
        draw.line((0, 0, width - 1, height - 1), theme["bad"], 2)
        draw.line((0, height - 1, width - 1, 0), theme["bad"], 2)
    reach = draw.textlength(text, font_of(15)) / 2 + 8
    draw.rounded_rectangle((width / 2 - reach, height / 2 - 13, width / 2 + reach, height / 2 + 13), 13, theme["card"])
    draw.text((width / 2, height / 2), text, theme["bad" if dead else "muted"], font_of(15), "mm")


def strip(record: DemoRecord, shown: Sequence[OutputRecord], *, theme: Theme = LIGHT, width: int = 220) -> Image.Image:
    """Paint moments as rows of tiles in one picture."""
    rows = [tiles(record, output) for output in shown]
    shape = read_picture(shown[0].labels).shape
    height, gap, head = round(width * shape[0] / shape[1]), 10, 34
    columns = max(len(row) for row in rows)
    size = columns * (width + gap) + gap, len(rows) * (height + 24 + head) + gap
    canvas = Image.new("RGB", size, theme["card"])
    draw = ImageDraw.Draw(canvas)
    for row, (output, shown_tiles) in enumerate(zip(shown, rows, strict=True)):
        y = row * (height + 24 + head)
        draw.text((gap, y + 24), moment_title(output), theme["ink"], font_of(17), "ls")
        for column, tile in enumerate(shown_tiles):
            canvas.paste(painted_tile(tile, width, height, theme), (gap + column * (width + gap), y + head))
    return canvas


def moment_title(output: OutputRecord) -> str:
    """Say in a few words when a moment was and who served."""
    served = " + ".join(SENSOR_NAMES[modality] for modality in output.used) or "no sensor"
    return f"{output.received_s:.1f} s: {served}"


def legend_colours(classes: ClassTable, ids: Sequence[int]) -> list[tuple[str, str]]:
    """Give (name, #rrggbb) of some classes."""
    return [(classes.names[k], "#" + classes.colours[k].tobytes().hex()) for k in ids]
