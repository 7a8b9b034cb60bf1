# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels that need more than one ray: those where outlines, creases and shadows run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SAME_DEPTH: Final = 0.03
_SAME_NORMAL: Final = 0.94
_SAME_COLOUR: Final = 0.02


@compiled
def _differ(
    one: int,
    other: int,
    i: int,
    j: int,
    distance: NDArray[np.float32],
    normal: NDArray[np.float32],
    rgb: NDArray[np.float32],
) -> bool:
    """Tell whether two faces that rays i and j met look different there, their textures aside."""
    if one < 0 or other < 0:
        return True
    along = normal[i, 0] * normal[j, 0] + normal[i, 1] * normal[j, 1] + normal[i, 2] * normal[j, 2]
    if along < _SAME_NORMAL:
        return True
    for c in range(3):
        if abs(rgb[one, c] - rgb[other, c]) > _SAME_COLOUR:
            return True
    gap = abs(distance[i] - distance[j])
    far = min(distance[i], distance[j])
    return bool(abs(normal[i, 2]) < 0.5 and gap > max(_SAME_DEPTH * far, 0.3))


@compiled
def find_edges(
    face: NDArray[np.int32],
    distance: NDArray[np.float32],
    normal: NDArray[np.float32],
    lit: NDArray[np.bool_],
    rgb: NDArray[np.float32],
    columns: int,
) -> NDArray[np.bool_]:
    """Tell which pixels (H * W,) look different from one of the four next to them.

    Face, distance and normal are what one ray per pixel met, see tracer.Hits; lit (H * W,) whether the sun shines
    there; rgb (F, 3) the colours of faces; columns is W.
    """
    found = np.zeros(len(face), np.bool_)
    for i in range(len(face)):
        one, sunny = face[i], lit[i]
        for step in (1, columns):
            j = i + step
            if j >= len(face) or (step == 1 and j % columns == 0):
                continue
            other = face[j]
            if one == other and sunny == lit[j]:
                continue
            if found[i] and found[j]:
                continue
            if sunny != lit[j] or _differ(one, other, i, j, distance, normal, rgb):
                found[i] = found[j] = True
    return found


@compiled
def corner_numbers(edges: NDArray[np.bool_], columns: int) -> NDArray[np.int32]:
    """Number the corners (H + 1, W + 1), flat, of chosen pixels (H * W,) from 0 in order; -1 for all others."""
    rows = len(edges) // columns
    number = np.full((rows + 1) * (columns + 1), -1, np.int32)
    for i in range(len(edges)):
        if edges[i]:
            corner = i // columns * (columns + 1) + i % columns
            number[corner] = number[corner + 1] = 0
            number[corner + columns + 1] = number[corner + columns + 2] = 0
    count = 0
    for corner in range(len(number)):
        if number[corner] == 0:
            number[corner] = count
            count += 1
    return number


@compiled
def blend_corners(
    flat: NDArray[np.float32],
    edges: NDArray[np.bool_],
    columns: int,
    number: NDArray[np.int32],
    seen: NDArray[np.float32],
) -> None:
    """Replace chosen pixels of an image (H * W, 3) by half of themselves and an eighth of each corner (M, 3)."""
    for i in range(len(edges)):
        if edges[i]:
            corner = i // columns * (columns + 1) + i % columns
            first, second = number[corner], number[corner + 1]
            third, fourth = number[corner + columns + 1], number[corner + columns + 2]
            for c in range(3):
                around = seen[first, c] + seen[second, c] + seen[third, c] + seen[fourth, c]
                flat[i, c] = np.float32(0.5) * flat[i, c] + np.float32(0.125) * around
