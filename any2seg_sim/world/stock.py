# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is grown or built once for a scene and then stands in many places."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from any2seg_sim.objects.cars import CAR_COLOURS, CAR_SHAPES, car
from any2seg_sim.objects.plants import SPECIES, bush, tree

if TYPE_CHECKING:
    import numpy as np

    from any2seg_sim.mesh import Mesh

TREES: Final = (*SPECIES, "spruce")
_VARIANTS: Final = 2


@dataclass(frozen=True, eq=False)
class Stock:
    """Trees and bushes to plant.

    Attributes:
        trees: variants of each of TREES.
        lean: the same with fewer leaves, for what stands back from the road.
        bushes: variants.
        sparse: far trees, with few leaves.
    """

    trees: dict[str, tuple[Mesh, ...]]
    lean: dict[str, tuple[Mesh, ...]]
    bushes: tuple[Mesh, ...]
    sparse: tuple[Mesh, ...]

    @staticmethod
    def drawn(rng: np.random.Generator) -> Stock:
        """Grow everything."""
        return Stock(
            {name: tuple(tree(rng, name) for _ in range(_VARIANTS)) for name in TREES},
            {name: tuple(tree(rng, name, leaves=85) for _ in range(_VARIANTS)) for name in TREES},
            tuple(bush(rng) for _ in range(3)),
            tuple(tree(rng, name, leaves=45, lumps=4) for name in ("plane", "plane", "poplar", "birch")),
        )

    def tree(self, rng: np.random.Generator, species: str = "", *, lean: bool = True) -> Mesh:
        """Pick a tree, turned and sized at random; of any species if none is named."""
        name = species or TREES[rng.integers(len(TREES))]
        found = (self.lean if lean else self.trees)[name][rng.integers(_VARIANTS)]
        return found.sized(float(rng.uniform(0.85, 1.15))).moved(yaw=float(rng.uniform(0, 2 * math.pi)))

    def bush(self, rng: np.random.Generator, size: float = 1.0) -> Mesh:
        """Pick a bush."""
        found = self.bushes[rng.integers(len(self.bushes))]
        return found.sized(size * float(rng.uniform(0.8, 1.3))).moved(yaw=float(rng.uniform(0, 2 * math.pi)))

    def far_tree(self, rng: np.random.Generator) -> Mesh:
        """Pick a tree that is never seen from near."""
        found = self.sparse[rng.integers(len(self.sparse))]
        return found.sized(float(rng.uniform(0.9, 1.5))).moved(yaw=float(rng.uniform(0, 2 * math.pi)))


def some_car(rng: np.random.Generator) -> Mesh:
    """Pick a car."""
    kinds = tuple(CAR_SHAPES)
    return car(kinds[rng.integers(len(kinds))], CAR_COLOURS[rng.integers(len(CAR_COLOURS))])
