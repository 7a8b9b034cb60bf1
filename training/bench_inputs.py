# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Made-up sensor data of any size for the benchmarks."""

from __future__ import annotations

import numpy as np
from baselines import WINDOW_NS

from any2seg_core.frames import CameraModel, Events, FrameSet, Modality, Points, SensorFrame


def view_of(side: int) -> CameraModel:
    """Give a square camera of 90 degrees."""
    return CameraModel(side, side, np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]]))


def cloud(count: int, seed: int = 0) -> Points:
    """Sweep 64 rings over a little more than what the camera sees, ring by ring as drivers give them."""
    random = np.random.default_rng(seed)
    ring, step = np.divmod(np.arange(count), max(count // 64, 1))
    right, down = np.tan(np.linspace(-0.83, 0.83, count // 64 + 1)[step]), np.linspace(-0.9, 0.9, ring.max() + 1)[ring]
    z = 20 + 15 * np.sin(3 * right) + random.normal(0, 0.1, count)
    xyz = np.stack([right * z, down * z, z], 1)
    return Points(xyz.astype(np.float32), random.uniform(0, 255, count).astype(np.float32))


def burst(count: int, width: int, height: int, seed: int = 0) -> Events:
    """Make events that fill one window."""
    random = np.random.default_rng(seed)
    x, y = random.integers(0, width, count), random.integers(0, height, count)
    t_ns = np.sort(random.integers(1, WINDOW_NS + 1, count))
    return Events(
        x.astype(np.uint16), y.astype(np.uint16), random.integers(0, 2, count, dtype=np.uint8), t_ns, width, height
    )


class Drive:
    """Frame sets of four sensors of which the camera alone has a new frame each time, as objects of their own.

    Args:
        side: width and height of pictures, depth and events.
        points: points of a LiDAR scan.
        events: events of a window.
    """

    def __init__(self, side: int, *, points: int = 65_000, events: int = 200_000) -> None:
        random = np.random.default_rng(0)
        self._pictures = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(2)]
        self._still = {
            Modality.DEPTH: random.uniform(1, 60, (side, side)).astype(np.float32),
            Modality.EVENT: burst(events, side, side),
            Modality.LIDAR: cloud(points),
        }
        self._view = view_of(side)

    def __call__(self, index: int) -> FrameSet:
        """Give the set of a moment."""
        data = {Modality.RGB: self._pictures[index % 2], **self._still}
        stamps = {Modality.RGB: WINDOW_NS + index}
        frames = {
            modality: SensorFrame(modality, stamps.get(modality, WINDOW_NS), "", one, to_view=np.eye(4))
            for modality, one in data.items()
        }
        return FrameSet(Modality.RGB, frames, view=self._view)
