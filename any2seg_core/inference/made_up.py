# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of every modality to warm up with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.frames import CameraModel, Events, FrameSet, Modality, Points, SensorFrame

if TYPE_CHECKING:
    from any2seg_core.frames import FrameData


def made_up_frames(modalities: tuple[Modality, ...], height: int, width: int) -> FrameSet:
    """Frames of every modality, as empty as they may be."""
    picture = np.zeros((height, width, 3), np.uint8)
    corner = np.zeros(1, np.uint16)
    special: dict[Modality, FrameData] = {
        Modality.DEPTH: np.ones((height, width), np.float32),
        Modality.EVENT: Events(corner, corner, np.ones(1, np.uint8), np.zeros(1, np.int64), width, height),
        Modality.LIDAR: Points(np.array([[0, 0, 10]], np.float32), np.ones(1, np.float32)),
    }
    frames = {
        modality: SensorFrame(modality, 0, "", special.get(modality, picture), to_view=np.eye(4))
        for modality in modalities
    }
    k = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], np.float64)
    return FrameSet(modalities[0], frames, view=CameraModel(width, height, k))
