# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Lamps that light the street at night: street lamps and headlights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEADLIGHT_RGB: Final = (26.0, 25.0, 23.0)
HEADLIGHT_CONE_COS: Final = 0.87
"""A half angle of 30 degrees, faint towards its edge."""
_DIP: Final = -0.025
STREET_LAMP_RGB: Final = (4.2, 3.3, 2.1)
STREET_LAMP_CONE_COS: Final = 0.2


@dataclass(frozen=True, eq=False)
class Lamp:
    """A small lamp.

    Attributes:
        position: (3,) float32 metres in the street.
        direction: (3,) float32 unit axis of its cone.
        rgb: (3,) float32 linear irradiance over pi that it gives a surface that faces it at 1 m.
        cone_cos: cosine of the cone's half angle; -1 shines all round.
    """

    position: NDArray[np.float32]
    direction: NDArray[np.float32]
    rgb: NDArray[np.float32]
    cone_cos: float


def street_lamp_at(position: Sequence[float]) -> Lamp:
    """Make the light of a street lamp whose lantern is at a place (x, y, z)."""
    return Lamp(
        np.array(position, np.float32),
        np.array((0.0, 0.0, -1.0), np.float32),
        np.array(STREET_LAMP_RGB, np.float32),
        STREET_LAMP_CONE_COS,
    )


def headlights(pose: NDArray[np.floating], places: Sequence[Sequence[float]]) -> tuple[Lamp, ...]:
    """Make the dipped headlights of a vehicle.

    Args:
        pose: (4, 4) vehicle to street, x forward.
        places: (x, y, z) of each headlight in the vehicle.
    """
    turn, shift = np.asarray(pose[:3, :3], np.float64), np.asarray(pose[:3, 3], np.float64)
    ahead = turn @ (np.array((1.0, 0.0, _DIP)) / np.hypot(1.0, _DIP))
    rgb = np.array(HEADLIGHT_RGB, np.float32)
    return tuple(
        Lamp((turn @ np.asarray(place) + shift).astype(np.float32), ahead.astype(np.float32), rgb, HEADLIGHT_CONE_COS)
        for place in places
    )
