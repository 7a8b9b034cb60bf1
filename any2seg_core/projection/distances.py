# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Codes of distances, which LiDAR range and depth share: near is bright, 0 is left for nothing there."""

from __future__ import annotations

import math
from typing import Final

from any2seg_core.errors import ConfigError
from any2seg_core.projection.kernels import INVERSE, LOG

CODES: Final = {"inverse": INVERSE, "log": LOG}


def distance_code(encoding: str, nearest_m: float, farthest_m: float) -> int:
    """Look up an encoding for the compiled loops and check the bounds it spans.

    Raises:
        ConfigError: the encoding is unknown, or the bounds are not positive, finite and in order.
    """
    if encoding not in CODES:
        msg = f"distance encoding: found {encoding!r}, expected one of {', '.join(CODES)}; choose one of them"
        raise ConfigError(msg)
    if not 0 < nearest_m < farthest_m < math.inf:
        msg = f"distance bounds: found {nearest_m} to {farthest_m} m, expected 0 < nearest < farthest; swap or fix them"
        raise ConfigError(msg)
    return CODES[encoding]
