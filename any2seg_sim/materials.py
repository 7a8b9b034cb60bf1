# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a surface is: its class, its kind of material and its colour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np


class Label(IntEnum):
    """Class ids of DELIVER, as any2seg_core.frames.DELIVER_CLASSES orders them (a test compares the two)."""

    BUILDING = 0
    FENCE = 1
    OTHER = 2
    PEDESTRIAN = 3
    POLE = 4
    ROAD_LINE = 5
    ROAD = 6
    SIDE_WALK = 7
    VEGETATION = 8
    CARS = 9
    WALL = 10
    TRAFFIC_SIGN = 11
    SKY = 12
    GROUND = 13
    BRIDGE = 14
    RAIL_TRACK = 15
    GROUND_RAIL = 16
    TRAFFIC_LIGHT = 17
    STATIC = 18
    DYNAMIC = 19
    WATER = 20
    TERRAIN = 21
    TWO_WHEELER = 22
    BUS = 23
    TRUCK = 24


class Surface(IntEnum):
    """Kinds of material: they choose the texture, the gloss and how well LiDAR light comes back."""

    PLAIN = 0
    ASPHALT = 1
    PAVING = 2
    GRASS = 3
    LEAVES = 4
    BRICK_FACADE = 5
    PLASTER_FACADE = 6
    BRICK = 7
    GLASS = 8
    CAR_PAINT = 9
    RUBBER = 10
    RETROREFLECTIVE = 11
    WATER = 12
    LAMP = 13
    ROOF_TILES = 14
    PLASTER = 15
    GRAVEL = 16
    METAL = 17
    CLOTH = 18
    WOOD = 19


@dataclass(frozen=True)
class Material:
    """How a kind of surface reflects.

    Attributes:
        gloss: share of the sky that is mirrored at normal incidence; Schlick's term adds the rest.
        lidar: intensity of a perpendicular LiDAR echo from a white surface, 0 to 1.
        returns: probability that a LiDAR echo is detected at all.
    """

    gloss: float
    lidar: float
    returns: float = 1.0


MATERIALS: Final = {
    Surface.PLAIN: Material(0.0, 0.8),
    Surface.ASPHALT: Material(0.0, 0.6),
    Surface.PAVING: Material(0.0, 0.8),
    Surface.GRASS: Material(0.0, 1.2),
    Surface.LEAVES: Material(0.0, 1.3, 0.97),
    Surface.BRICK_FACADE: Material(0.0, 0.8, 0.98),
    Surface.PLASTER_FACADE: Material(0.0, 0.8, 0.98),
    Surface.BRICK: Material(0.0, 0.8),
    Surface.GLASS: Material(0.06, 0.2, 0.5),
    Surface.CAR_PAINT: Material(0.05, 0.7, 0.97),
    Surface.RUBBER: Material(0.0, 0.4, 0.95),
    Surface.RETROREFLECTIVE: Material(0.0, 3.0),
    Surface.WATER: Material(0.05, 0.1, 0.15),
    Surface.LAMP: Material(0.03, 0.5),
    Surface.ROOF_TILES: Material(0.0, 0.7),
    Surface.PLASTER: Material(0.0, 0.8),
    Surface.GRAVEL: Material(0.0, 0.8),
    Surface.METAL: Material(0.03, 0.7, 0.98),
    Surface.CLOTH: Material(0.0, 0.9),
    Surface.WOOD: Material(0.0, 0.8),
}

GLOSS: Final = np.array([MATERIALS[surface].gloss for surface in Surface], np.float32)
LIDAR_ECHO: Final = np.array([MATERIALS[surface].lidar for surface in Surface], np.float32)
LIDAR_RETURNS: Final = np.array([MATERIALS[surface].returns for surface in Surface], np.float32)


@dataclass(frozen=True)
class Paint:
    """What a face of a mesh is made of.

    Attributes:
        label: class.
        surface: kind of material.
        rgb: linear albedo (not gamma encoded), 0 to 1.
    """

    label: Label
    surface: Surface
    rgb: tuple[float, float, float]
