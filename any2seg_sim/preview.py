# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A sheet of pictures of what all sensors see at a few moments of a drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.projection.depth import depth_image
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_moments

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.frames import Events, Points
    from any2seg_sim.settings import DriveSettings
    from any2seg_sim.simulation import Moment


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
    first_s = max(settings.event_window_s, 1.0 / settings.lidar_rate_hz)
    last_s = settings.seconds(settings.end_ns)
    times = [last_s] if moments == 1 else np.linspace(min(first_s, last_s), last_s, moments).tolist()
    rig = Rig.of(settings)
    return np.concatenate([_row(moment, rig) for moment in render_moments(settings, times)])


def _row(moment: Moment, rig: Rig) -> NDArray[np.uint8]:
    image, metres, labels = (
        cast("NDArray[Any]", found) for found in (moment.rgb.frame.data, moment.depth.frame.data, moment.rgb.labels)
    )
    points, events = cast("Points", moment.lidar.frame.data), cast("Events", moment.events.frame.data)
    swept = lidar_image(points, rig.lidar_to_camera, rig.camera, encoding="log", splat_px=1)
    start_ns, end_ns = (int(events.t_ns[0]) - 1, int(events.t_ns[-1])) if len(events) else (0, 1)
    seen = _eight_bits(event_stack(events, representation="polarity", start_ns=start_ns, end_ns=end_ns))
    if seen.shape != image.shape:
        size = image.shape[1], image.shape[0]
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    tiles = [image, _eight_bits(depth_image(metres, encoding="log")), _eight_bits(swept), seen]
    return np.concatenate([*tiles, DELIVER_CLASSES.colourize(labels)], 1)


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
