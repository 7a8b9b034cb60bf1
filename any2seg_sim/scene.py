# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A scene: the streets, what moves in them, their lamps and the drive through, all drawn from one generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from any2seg_sim.cast import ego_drive, vehicles, waiting
from any2seg_sim.mesh import Mesh
from any2seg_sim.street import town
from any2seg_sim.walks import crossers, strollers
from any2seg_sim.world.layout import lay_out

if TYPE_CHECKING:
    import numpy as np

    from any2seg_sim.drive import Drive
    from any2seg_sim.lamps import Lamp
    from any2seg_sim.traffic import Mover

_BUSY_M, _QUIET_M = 16.0, 50.0
"""How far apart people walk in the streets of the drive and in others."""
_SPARE_S: Final = 1.0


@dataclass(frozen=True, eq=False)
class Scene:
    """All there is to see.

    Attributes:
        still: what never moves.
        movers: vehicles and people.
        drive: the ego vehicle's path.
        lamps: street lamps, and headlights of vehicles that wait.
    """

    still: Mesh
    movers: tuple[Mover, ...]
    drive: Drive
    lamps: tuple[Lamp, ...]


def build_scene(rng: np.random.Generator, *, duration_s: float, speed_mps: float) -> Scene:
    """Draw streets long enough for a drive, with their traffic; a short drive gives a small scene.

    Args:
        rng: decides everything.
        duration_s: length of the drive.
        speed_mps: speed on a free and straight road; in bends and at junctions the vehicle slows down.
    """
    plan = lay_out(rng, speed_mps * duration_s)
    drive = ego_drive(rng, plan, speed_mps)
    built = town(rng, plan)
    queues, lights = waiting(rng, plan)
    fleet = vehicles(rng, plan, drive, duration_s)
    people = []
    for street in plan.streets:
        people += strollers(rng, street, drive, duration_s, apart_m=_BUSY_M if street.main else _QUIET_M)
    people += crossers(rng, plan, drive, fleet, duration_s + _SPARE_S)
    return Scene(Mesh.merged([built.mesh, *queues]), (*fleet, *people), drive, (*built.lamps, *lights))
