# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Weather: what it does to light and air, before any sensor sees it."""

from any2seg_sim.weather.weather import WEATHERS, Weather

__all__ = ["WEATHERS", "Weather"]
