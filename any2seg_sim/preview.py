# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A sheet of pictures of what all sensors see at a few moments of a drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES, Events
from any2seg_core.projection.depth import depth_image
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image
from any2seg_sim.rig import Rig
from any2seg_sim.sensors.events import EventCamera
from any2seg_sim.simulation import SliceRenderer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_sim.settings import DriveSettings

_EVENTS_SHOWN_NS: Final = 50_000_000


def preview_sheet(settings: DriveSettings, *, moments: int = 4) -> NDArray[np.uint8]:
    """Draw colour, depth, LiDAR, events and exact classes side by side, one row for each of so many moments.

    Returns:
        (moments * height, 5 * width, 3) uint8 RGB.

    Raises:
        ConfigError: moments is not positive.
    """
    if moments < 1:
        msg = f"preview: found {moments} moments, expected at least 1"
        raise ConfigError(msg)
    renderer, rig = SliceRenderer(settings), Rig.of(settings)
    indices = np.unique(np.linspace(1, settings.images, moments).round().astype(int))
    return np.concatenate([_row(renderer, rig, settings, int(index)) for index in indices])


def _row(renderer: SliceRenderer, rig: Rig, settings: DriveSettings, index: int) -> NDArray[np.uint8]:
    part = renderer.slice(index)
    eye = EventCamera(threshold=settings.event_threshold, rng=np.random.default_rng(settings.seed))
    events = Events.concatenate([eye.see(brightness, stamp_ns) for stamp_ns, brightness in part.film])
    tiles = [part.image, _eight_bits(depth_image(part.depth, encoding="log")), np.zeros_like(part.image)]
    if part.sweeps:
        points = part.sweeps[-1][1].points
        tiles[2] = _eight_bits(lidar_image(points, rig.lidar_to_camera, rig.camera, encoding="log", splat_px=1))
    start_ns = part.stamp_ns - _EVENTS_SHOWN_NS
    tiles.append(_eight_bits(event_stack(events, representation="polarity", start_ns=start_ns, end_ns=part.stamp_ns)))
    tiles.append(DELIVER_CLASSES.colourize(part.labels))
    return np.concatenate(tiles, 1)


def _eight_bits(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(255.0 * np.clip(image, 0.0, 1.0)), np.uint8)


def write_preview(path: Path, settings: DriveSettings, *, moments: int = 4) -> None:
    """Write preview_sheet's picture as PNG.

    Raises:
        ConfigError: the file cannot be written, or moments is not positive.
    """
    sheet = preview_sheet(settings, moments=moments)
    try:
        _, png = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
        path.write_bytes(png.tobytes())
    except OSError as error:
        msg = f"preview: found {path} not writable ({error}), expected a file in an existing folder"
        raise ConfigError(msg) from error
