# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How open the sky is: ambient occlusion from a map of heights, smooth and without noise.

Solid things are columns as high as their top; crowns of trees and bridges, under which light comes in from the
sides, lie in a map of their own and only dim. What moves is drawn into the map anew for every moment.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from any2seg_sim.compiled import compiled
from any2seg_sim.materials import Label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.mesh import Mesh

_CELL_M: Final = 0.25
_MARGIN_M: Final = 30.0
_MAX_CELLS: Final = 6000
_EMPTY: Final = -1000.0
_CROWNS: Final = (Label.VEGETATION, Label.BRIDGE)
_IGNORED: Final = (*_CROWNS, Label.POLE, Label.TRAFFIC_LIGHT, Label.TRAFFIC_SIGN, Label.ROAD_LINE, Label.SKY)
_ROADWAY: Final = (Label.ROAD, Label.SIDE_WALK, Label.BUILDING)
_DIRECTIONS: Final = np.array(
    [(math.cos(turn), math.sin(turn)) for turn in (np.arange(6) + 0.5) * (math.pi / 3)], np.float32
)
_RADII_M: Final = np.array([0.4, 1.4, 5.0], np.float32)
_CROWN_M: Final = 0.75
_DARKEST: Final = 0.12


Grid: TypeAlias = "NDArray[np.float32]"
Triple: TypeAlias = tuple[float, float, float]


class Heights(NamedTuple):
    """Maps of heights over a rectangle.

    Attributes:
        solid: (rows along y, columns along x) float32 metres, top of what hides the sky.
        crown: the same for what dims it.
        x_m, y_m: place of the first cell's centre.
        per_m: cells per metre.
    """

    solid: NDArray[np.float32]
    crown: NDArray[np.float32]
    x_m: float
    y_m: float
    per_m: float


@compiled
def _raise_to(
    triangles: NDArray[np.float32], x_m: float, y_m: float, per_m: float, grid: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Lift cells whose centres triangles (N, 3, 3) cover to their height; give the flat indices of what changed."""
    rows, columns = grid.shape
    changed = [np.int64(0) for _ in range(0)]
    for i in range(len(triangles)):
        ax, ay = (triangles[i, 0, 0] - x_m) * per_m, (triangles[i, 0, 1] - y_m) * per_m
        bx, by = (triangles[i, 1, 0] - x_m) * per_m, (triangles[i, 1, 1] - y_m) * per_m
        cx, cy = (triangles[i, 2, 0] - x_m) * per_m, (triangles[i, 2, 1] - y_m) * per_m
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-9:
            continue
        az, bz, cz = triangles[i, 0, 2], triangles[i, 1, 2], triangles[i, 2, 2]
        left, right = max(math.ceil(min(ax, bx, cx)), 0), min(math.floor(max(ax, bx, cx)), columns - 1)
        low, high = max(math.ceil(min(ay, by, cy)), 0), min(math.floor(max(ay, by, cy)), rows - 1)
        for row in range(low, high + 1):
            for column in range(left, right + 1):
                u = ((column - ax) * (cy - ay) - (cx - ax) * (row - ay)) / area
                v = ((bx - ax) * (row - ay) - (column - ax) * (by - ay)) / area
                if u < 0.0 or v < 0.0 or u + v > 1.0:
                    continue
                height = az + u * (bz - az) + v * (cz - az)
                if height > grid[row, column]:
                    grid[row, column] = height
                    changed.append(np.int64(row * columns + column))
    return np.array(changed, np.int64)


@compiled
def _height(grid: NDArray[np.float32], x: float, y: float) -> float:
    """Interpolate between cells; x and y count cells and lie inside."""
    column, row = int(x), int(y)
    tx, ty = x - column, y - row
    upper = grid[row, column] + (grid[row, column + 1] - grid[row, column]) * tx
    lower = grid[row + 1, column] + (grid[row + 1, column + 1] - grid[row + 1, column]) * tx
    return float(upper + (lower - upper) * ty)


@compiled
def openness(p: Triple, n: Triple, solid: Grid, crown: Grid, x_m: float, y_m: float, per_m: float) -> float:
    """Share of the sky's light that reaches a point of a surface, 0 to 1, its own tilt left out.

    In each direction the horizon stands at the steepest height around; a horizon of elevation e hides sin(e)^2 of the
    light of an even sky on level ground. Outside the maps the sky is open.

    The maps are those of Heights; in loops, plain arguments are several times faster than a tuple of arrays.
    """
    column, row, z = (p[0] + 0.15 * n[0] - x_m) * per_m, (p[1] + 0.15 * n[1] - y_m) * per_m, p[2] + 0.15 * n[2]
    margin = _RADII_M[-1] * per_m + 1.0
    rows, columns = solid.shape
    if not (margin < column < columns - 1 - margin and margin < row < rows - 1 - margin):
        return 1.0
    hidden, weights = 0.0, 0.0
    for k in range(len(_DIRECTIONS)):
        dx, dy = _DIRECTIONS[k, 0], _DIRECTIONS[k, 1]
        weight = 0.1 + max(n[2], 0.0) + max(n[0] * dx + n[1] * dy, 0.0)
        steepest = 0.0
        for j in range(len(_RADII_M)):
            cells = _RADII_M[j] * per_m
            over = _height(solid, column + cells * dx, row + cells * dy) - z
            if over > 0.0:
                steepest = max(steepest, over * over / (over * over + _RADII_M[j] * _RADII_M[j]))
        hidden += weight * steepest
        weights += weight
    shaded, cells = 0.0, _CROWN_M * per_m
    for k in range(0, len(_DIRECTIONS), 2):
        over = _height(crown, column + cells * _DIRECTIONS[k, 0], row + cells * _DIRECTIONS[k, 1]) - z
        shaded += min(max(over - 0.3, 0.0) / 2.0, 1.0) / 3.0
    return max((1.0 - hidden / weights) * (1.0 - 0.45 * shaded), _DARKEST)


class SkyMap:
    """Keeps the heights of a street, with what moves in it."""

    def __init__(self, still: Mesh) -> None:
        found = _standing(still)
        # What moves is drawn into this map's own copy.
        self.heights, self._still = found._replace(solid=found.solid.copy()), found.solid
        self._changed = np.zeros(0, np.int64)

    def set_movers(self, movers: Mesh | None) -> None:
        """Replace what moves."""
        grid = self.heights.solid
        grid.reshape(-1)[self._changed] = self._still.reshape(-1)[self._changed]
        self._changed = (
            np.zeros(0, np.int64) if movers is None else _raise(self.heights, movers.vertices[movers.faces], grid)
        )


@functools.lru_cache(maxsize=1)
def _standing(still: Mesh) -> Heights:
    """Map what stands still once for all who look at it; nobody may change the maps."""
    corners = still.vertices[still.faces]
    x_m, y_m, shape, cell_m = _extent(corners[np.isin(still.label, _ROADWAY)] if len(still) else corners)
    solid, crown = (np.full(shape, _EMPTY, np.float32) for _ in range(2))
    heights = Heights(solid, crown, x_m, y_m, 1.0 / cell_m)
    _raise(heights, corners[~np.isin(still.label, _IGNORED)], solid)
    _raise(heights, corners[np.isin(still.label, _CROWNS)], crown)
    return heights


def _raise(heights: Heights, triangles: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.int64]:
    """Lift the cells of a map to triangles (N, 3, 3) above them; give the flat indices of what changed."""
    changed: NDArray[np.int64] = _raise_to(triangles, heights.x_m, heights.y_m, heights.per_m, grid)
    return changed


def _extent(corners: NDArray[np.float32]) -> tuple[float, float, tuple[int, int], float]:
    """Place, shape and cell of the maps around triangles (N, 3, 3); far apart ones get coarser cells."""
    points = corners.reshape(-1, 3) if len(corners) else np.zeros((1, 3), np.float32)
    low, high = points[:, :2].min(0) - _MARGIN_M, points[:, :2].max(0) + _MARGIN_M
    cell_m = max(_CELL_M, float(np.max(high - low)) / _MAX_CELLS)
    columns, rows = (int(size / cell_m) + 2 for size in (high - low))
    return float(low[0]), float(low[1]), (rows, columns), cell_m
