# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Contact sheets: rows of pictures with captions, drawn from the simulator or from a data set on disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.preprocess import Preprocessor
from any2seg_sim.rig import Rig
from any2seg_sim.settings import FAILURES
from any2seg_sim.simulation import render_moments
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.config import PreprocessConfig
    from any2seg_core.frames import Events
    from any2seg_sim.dataset.layout import ScenePlan
    from any2seg_sim.settings import DriveSettings
    from any2seg_sim.simulation import Moment

_GAP_PX: Final = 6
_CAPTION_PX: Final = 30
_MARGIN_PX: Final = 46
_PAPER: Final = (250, 250, 250)
_INK: Final = (20, 24, 31)
COLUMNS: Final = ("Camera", "Depth", "Events", "LiDAR", "Exact classes")
_SHOWS: Final = {"motionblur": 0, "overexposure": 0, "underexposure": 0, "lidarjitter": 3, "eventlowres": 2}
"""Column in which each failure is to be seen."""


def weather_sheet(
    settings: DriveSettings, moment_s: float, preprocess: PreprocessConfig, *, tile_px: int = 300
) -> NDArray[np.uint8]:
    """Draw one moment of one street under every weather: camera, depth, events, LiDAR and exact classes.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    rows = [tiles_at(replace(settings, weather=weather, failure=""), moment_s, preprocess) for weather in WEATHERS]
    return assemble(rows, columns=COLUMNS, rows=WEATHERS, tile_px=tile_px)


def failure_sheet(
    settings: DriveSettings, moment_s: float, preprocess: PreprocessConfig, *, tile_px: int = 300
) -> NDArray[np.uint8]:
    """Draw each sensor failure below the same picture of the sound sensor.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    sound = tiles_at(replace(settings, failure=""), moment_s, preprocess)
    failing = {name: tiles_at(replace(settings, failure=name), moment_s, preprocess) for name in FAILURES}
    rows = [[sound[_SHOWS[name]] for name in FAILURES], [failing[name][_SHOWS[name]] for name in FAILURES]]
    return assemble(rows, columns=FAILURES, rows=("sound", "failing"), tile_px=tile_px)


def tiles_at(settings: DriveSettings, moment_s: float, preprocess: PreprocessConfig) -> list[NDArray[np.uint8]]:
    """Draw a moment as pictures for people, in the order of COLUMNS."""
    (moment,) = render_moments(settings, [moment_s])
    return _tiles(moment, Rig.of(settings), preprocess)


def _tiles(moment: Moment, rig: Rig, preprocess: PreprocessConfig) -> list[NDArray[np.uint8]]:
    shown = preprocess.model_copy(
        update={"depth_encoding": "log", "lidar_encoding": "log", "event_representation": "polarity"}
    )
    draw = Preprocessor(shown, (Modality.DEPTH, Modality.EVENT, Modality.LIDAR))
    image = cast("NDArray[np.uint8]", moment.rgb.frame.data)
    size = image.shape[0], image.shape[1]
    events = cast("Events", moment.events.frame.data)
    labels = cast("NDArray[np.uint8]", moment.rgb.labels)
    frames = (
        (moment.depth.frame, size),
        (moment.events.frame, (events.height, events.width)),
        (replace(moment.lidar.frame, to_view=rig.lidar_to_camera), size),
    )
    drawn = [_eight_bits(draw.prepare(frame, shape, rig.camera).transpose(1, 2, 0)) for frame, shape in frames]
    depth, seen, points = drawn
    coloured = cv2.applyColorMap(255 - depth[..., 0], cv2.COLORMAP_TURBO)[..., ::-1]
    depth = np.where(depth[..., :1] > 0, coloured, np.uint8(0))
    return [image, depth, seen, points, DELIVER_CLASSES.colourize(labels)]


def _eight_bits(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(255.0 * np.clip(image, 0.0, 1.0)), np.uint8)


def dataset_sheet(root: Path, scenes: Sequence[ScenePlan], frame: int, *, tile_px: int = 240) -> NDArray[np.uint8]:
    """Draw a frame of each of some scenes of a data set from its own files, exact classes in DELIVER's colours.

    Raises:
        ConfigError: a file is missing or unreadable.
    """
    rows = []
    for scene in scenes:
        row = [_read(root / scene.file(folder, frame)) for folder in ("img", "hha", "event", "lidar", "semantic")]
        row[-1] = DELIVER_CLASSES.colourize(np.asarray(row[-1][..., 0] - np.uint8(1), np.uint8))
        rows.append(row)
    names = [f"{scene.weather} {scene.name.removeprefix('MAP_').replace('_point1', '')}" for scene in scenes]
    return assemble(rows, columns=("Camera", "Depth (HHA)", *COLUMNS[2:]), rows=names, tile_px=tile_px)


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        msg = f"sheet: found no readable picture {path}, expected a complete data set; run the dataset command again"
        raise ConfigError(msg)
    return np.asarray(image[..., ::-1], np.uint8)


def assemble(
    tiles: Sequence[Sequence[NDArray[np.uint8]]], *, columns: Sequence[str], rows: Sequence[str], tile_px: int
) -> NDArray[np.uint8]:
    """Lay pictures out in a grid, captions above the columns and, turned, beside the rows."""
    first = tiles[0][0]
    width, height = tile_px, round(tile_px * first.shape[0] / first.shape[1])
    step = width + _GAP_PX, height + _GAP_PX
    sheet = Image.new("RGB", (_MARGIN_PX + len(columns) * step[0], _CAPTION_PX + len(rows) * step[1]), _PAPER)
    font = ImageFont.load_default(18)
    pen = ImageDraw.Draw(sheet)
    for index, name in enumerate(columns):
        pen.text((_MARGIN_PX + index * step[0] + width // 2, _CAPTION_PX // 2), name, _INK, font, "mm")
    for line, (name, pictures) in enumerate(zip(rows, tiles, strict=True)):
        top = _CAPTION_PX + line * step[1]
        side = Image.new("RGB", (height, _MARGIN_PX), _PAPER)
        ImageDraw.Draw(side).text((height // 2, _MARGIN_PX // 2), name, _INK, font, "mm")
        sheet.paste(side.rotate(90, expand=True), (0, top))
        for index, picture in enumerate(pictures):
            kind = Image.Resampling.LANCZOS if picture.shape[1] > width else Image.Resampling.NEAREST
            sheet.paste(Image.fromarray(picture).resize((width, height), kind), (_MARGIN_PX + index * step[0], top))
    return np.asarray(sheet)
