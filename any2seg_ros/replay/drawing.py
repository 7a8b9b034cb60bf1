# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of outputs: what the anchor saw, what the model says, what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from any2seg_ros.overlay import backdrop, overlay

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_ros.pipeline import Answer

_ALPHA: Final = 0.55
_WIDEST_PX: Final = 480
_GAP_PX: Final = 4
_QUALITY: Final = 88


def overlaid(answer: Answer) -> NDArray[np.uint8]:
    """Labels over what the anchor saw, (H, W, 3) uint8 RGB."""
    return overlay(answer.labels, answer.frames, _ALPHA)


def side_by_side(answer: Answer, truth: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """Anchor, prediction and, where known, truth beside each other, (H, W, 3) uint8 RGB."""
    labels = answer.labels
    tiles = [backdrop(answer.frames, labels.labels.shape), overlaid(answer)]
    if truth is not None:
        tiles.append(labels.classes.colourize(truth))
    tiles = [_narrow(tile) for tile in tiles]
    gap = np.full((tiles[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    row = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.hstack(row)


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """Compress RGB (H, W, 3) uint8."""
    return bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _narrow(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = tile.shape[:2]
    if width <= _WIDEST_PX:
        return tile
    size = (_WIDEST_PX, max(1, round(height * _WIDEST_PX / width)))
    return np.asarray(cv2.resize(tile, size, interpolation=cv2.INTER_AREA), np.uint8)
