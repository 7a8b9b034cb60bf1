# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Labels painted over what the anchor sensor saw, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from any2seg_core.frames import Events, Points
from any2seg_core.projection.depth import depth_image
from any2seg_core.projection.events import event_stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import FrameSet, LabelMap


def overlay(labels: LabelMap, frame_set: FrameSet, alpha: float) -> NDArray[np.uint8]:
    """Blend class colours with the anchor's picture.

    Args:
        labels: the answer, (H, W).
        frame_set: what it was made from.
        alpha: weight of the colours, 0 to 1.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colours = labels.classes.colourize(labels.labels)
    background = backdrop(frame_set, labels.labels.shape)
    return np.asarray(cv2.addWeighted(colours, alpha, background, 1.0 - alpha, 0.0), np.uint8)


def backdrop(frame_set: FrameSet, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Show the anchor's measurement as RGB of the given height and width; black where it has no picture."""
    shown = picture(frame_set.frames[frame_set.anchor].data)
    return np.zeros((*size, 3), np.uint8) if shown is None else shown


def picture(data: Any) -> NDArray[np.uint8] | None:
    """Show a frame's data as RGB (H, W, 3) uint8; None for points, which have no image of their own."""
    if isinstance(data, Points):
        return None
    if isinstance(data, Events):
        end_ns = int(data.t_ns[-1]) if len(data) else 0
        start_ns = int(data.t_ns[0]) - 1 if len(data) else 0
        grey = event_stack(data, representation="polarity", start_ns=start_ns, end_ns=end_ns)
        return (grey * 255).astype(np.uint8)
    if data.ndim == 2:
        return (depth_image(data, encoding="log", min_depth_m=0.3, max_depth_m=100.0) * 255).astype(np.uint8)
    image: NDArray[np.uint8] = np.ascontiguousarray(data)
    return image
