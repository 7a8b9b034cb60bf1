# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The cross-section that all streets share, in metres from the middle of the road."""

from __future__ import annotations

from typing import Final

LANE_M: Final = 1.75
"""Middle of a lane."""
LANE_EDGE_M: Final = 3.4
CYCLES_M: Final = 3.6
"""Where cyclists ride, between the lane and parked vehicles."""
PARKED_M: Final = 5.6
KERB_M: Final = 6.7
POSTS_M: Final = 7.25
"""Where lamps, signs and trees stand."""
SHELTER_M: Final = 7.45
WALK_M: Final = (8.35, 9.25)
"""Where people walk along the right-hand side of the road's direction and against it."""
FACADES_M: Final = 9.75
"""From here to the front, what belongs to the houses may stand on the pavement."""
FRONT_M: Final = 10.8
"""Building line."""
DEPTH_M: Final = 15.0
"""Depth of the lots behind the building line."""
BACK_M: Final = FRONT_M + DEPTH_M
CORNER_M: Final = 5.0
"""Radius of the kerb at a junction's corners."""
MOUTH_M: Final = KERB_M + CORNER_M
"""Streets begin so far from the middle of a junction."""
FRONTAGE_M: Final = BACK_M - MOUTH_M
"""Lots begin so far from a street's mouth: before lies what stands at the junction's corner."""
ZEBRA_M: Final = (1.3, 4.3)
"""A zebra crossing's bounds along a street, from its mouth."""
STOP_M: Final = 5.4
"""A stop line's place along a street, from its mouth."""
MARKED_M: Final = 6.0
"""Lane markings begin so far from a mouth."""
SIDEWALK_Z: Final = 0.15
WATER_Z: Final = -0.2
BASE_Z: Final = -0.9
"""Height of the land around; also of what lies below the water."""
