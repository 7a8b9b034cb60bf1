# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Frames with spoilt content: dirt, noise, nothing at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.frames import Events, Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import FrameData, SensorFrame

_BLUR: Final = 0.05
"""Width of the blur behind dirt, in heights of the picture."""
_DIRT_RGB: Final = np.array([38.0, 31.0, 24.0], np.float32)
_OPAQUE: Final = 0.5
"""Where dirt takes more light than this, nothing is measured any more."""


def without_content(frame: SensorFrame) -> SensorFrame:
    """Give the frame of a sensor that sends nothing but messages: black, NaN, no points, no events."""
    data: FrameData = frame.data
    if isinstance(data, Points):
        data = Points(data.xyz[:0], data.intensity[:0])
    elif isinstance(data, Events):
        data = _events(data, np.zeros(len(data), np.bool_))
    else:
        data = np.full_like(data, np.nan if data.dtype.kind == "f" else 0)
    return replace(frame, data=data)


def dirt_mask(
    size: tuple[int, int], rng: np.random.Generator, blobs: int, radius: float, opacity: float
) -> NDArray[np.float32]:
    """Draw blobs of dirt.

    Args:
        size: height and width, pixels.
        rng: decides where they are.
        blobs: how many.
        radius: their mean radius, in heights.
        opacity: of the middle of a blob.

    Returns:
        (H, W) float32 in [0, opacity], the share of light that the dirt takes; between blobs 0.
    """
    height, width = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clear = np.ones(size, np.float32)
    for _ in range(blobs):
        row, column = rng.uniform(0, height), rng.uniform(0, width)
        across, along, turn = height * radius * rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.6), rng.uniform(0, np.pi)
        x, y = columns - np.float32(column), rows - np.float32(row)
        u, v = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) * along
        # A soft rim over the outer third: dirt on a lens is out of focus.
        rim = np.clip(3.0 * (1.0 - np.hypot(u, v) / across), 0.0, 1.0)
        clear *= 1.0 - rim * rim * (3.0 - 2.0 * rim)
    return np.asarray(opacity * (1.0 - clear), np.float32)


def soiled(frame: SensorFrame, mask: NDArray[np.float32]) -> SensorFrame:
    """Look through dirt: pictures are dark and blurred behind it, depth is NaN, and no events come.

    Args:
        frame: of a camera, (H, W) pixels.
        mask: (H, W) share of light that the dirt takes.
    """
    data = frame.data
    if isinstance(data, Points):
        return frame
    if isinstance(data, Events):
        return replace(frame, data=_events(data, mask[data.y, data.x] < _OPAQUE))
    if data.dtype.kind == "f":
        return replace(frame, data=np.where(mask < _OPAQUE, data, np.float32(np.nan)).astype(data.dtype))
    height, width = mask.shape
    coarse = max(round(_BLUR * height), 1)
    # Shrunk and stretched again: blurred at a fraction of what a wide Gaussian costs.
    small = cv2.resize(data, (-(-width // coarse), -(-height // coarse)), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    clean, share = data.astype(np.float32), mask[..., None]
    # Light near a blob's rim is scattered before it is taken, so blur sets in at once and darkness with the mask.
    seen = clean + (blurred - clean) * np.minimum(2.0 * share, 1.0)
    return replace(frame, data=_eight_bits(seen * (1.0 - share) + _DIRT_RGB * share, data))


def noisy(frame: SensorFrame, strength: float, rng: np.random.Generator) -> SensorFrame:
    """Add random errors.

    Args:
        frame: any sensor's.
        strength: spread in grey levels of a picture, in metres of depth along the optical axis and of points along
            their ray; false events per pixel and second.
        rng: source of chance.
    """
    data = frame.data
    if isinstance(data, Points):
        distance = np.linalg.norm(data.xyz.astype(np.float64), axis=1)
        stretch = 1.0 + strength * rng.standard_normal(len(data)) / np.maximum(distance, 1e-6)
        xyz = (data.xyz * np.maximum(stretch, 0.0)[:, None]).astype(np.float32)
        return replace(frame, data=Points(xyz, data.intensity))
    if isinstance(data, Events):
        return replace(frame, data=_with_false_events(data, frame, strength, rng))
    errors = np.float32(strength) * rng.standard_normal(data.shape, np.float32)
    if data.dtype.kind == "f":
        metres = data + errors
        return replace(frame, data=np.where(metres > 0, metres, np.nan).astype(data.dtype))
    return replace(frame, data=_eight_bits(data + errors, data))


def _with_false_events(events: Events, frame: SensorFrame, rate_hz: float, rng: np.random.Generator) -> Events:
    count = rng.poisson(rate_hz * events.width * events.height * 1e-9 * (frame.end_ns - frame.stamp_ns))
    false = Events(
        rng.integers(0, events.width, count).astype(np.uint16),
        rng.integers(0, events.height, count).astype(np.uint16),
        rng.integers(0, 2, count).astype(np.uint8),
        np.sort(rng.integers(frame.stamp_ns, frame.end_ns + 1, count)),
        events.width,
        events.height,
    )
    return Events.concatenate([events, false])


def _events(events: Events, kept: NDArray[np.bool_]) -> Events:
    columns = (events.x[kept], events.y[kept], events.polarity[kept], events.t_ns[kept])
    return Events(*columns, events.width, events.height)


def _eight_bits(pixels: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(np.rint(pixels), 0, 255), like.dtype)
