# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Light of street lamps and headlights: inverse squares and soft cones, without shadows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.lamps import Lamp

COLUMNS: Final = 11
_FAINTEST: Final = 4e-4
"""Irradiance over pi below which a lamp is left out; it fades out towards there."""
_NEAREST_M: Final = 0.4
_NARROW: Final = 0.6
"""Cosine of a cone above which light is bundled along the axis, as headlights do it to reach far along the road."""


def packed(lamps: Sequence[Lamp]) -> NDArray[np.float32]:
    """Arrange lamps for the loops: (L, 11) float32 position, direction, colour, cosine of the cone, squared reach."""
    rows = np.zeros((len(lamps), COLUMNS), np.float32)
    for row, lamp in zip(rows, lamps, strict=True):
        row[0:3], row[3:6], row[6:9], row[9] = lamp.position, lamp.direction, lamp.rgb, lamp.cone_cos
        row[10] = float(np.max(lamp.rgb)) / _FAINTEST
    return rows


@compiled
def lamplight(
    p: tuple[float, float, float], n: tuple[float, float, float], lamps: NDArray[np.float32]
) -> tuple[float, float, float]:
    """Irradiance over pi of a point with a normal from all lamps (L, 11)."""
    red, green, blue = 0.0, 0.0, 0.0
    for k in range(len(lamps)):
        x, y, z = lamps[k, 0] - p[0], lamps[k, 1] - p[1], lamps[k, 2] - p[2]
        square = x * x + y * y + z * z
        if square > lamps[k, 10]:
            continue
        upright = n[0] * x + n[1] * y + n[2] * z
        if upright <= 0.0:
            continue
        distance = math.sqrt(max(square, _NEAREST_M * _NEAREST_M))
        along = -(lamps[k, 3] * x + lamps[k, 4] * y + lamps[k, 5] * z) / distance
        cone = lamps[k, 9]
        if along <= cone:
            continue
        spot = 1.0
        if cone > _NARROW:
            spot = ((along - cone) / (1.0 - cone)) ** 3
        elif cone > -0.99:
            spot = (along - cone) / (1.0 - cone)
            spot *= spot * (3.0 - 2.0 * spot)
        amount = spot * upright / (distance * max(square, _NEAREST_M * _NEAREST_M)) * (1.0 - square / lamps[k, 10])
        red += amount * lamps[k, 6]
        green += amount * lamps[k, 7]
        blue += amount * lamps[k, 8]
    return red, green, blue
