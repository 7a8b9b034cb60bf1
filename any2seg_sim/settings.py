# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a drive is: its length, the sensors' rates and sizes, and the seed that decides everything else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_sim.renderer import SAMPLES

_BOUNDS = {
    "seed": (0, 2**63),
    "duration_s": (0.05, 600.0),
    "rate_hz": (1.0, 60.0),
    "width": (16, 4096),
    "height": (16, 4096),
    "fov_deg": (20.0, 140.0),
    "speed_mps": (0.0, 15.0),
    "subframes": (1, 50),
    "lidar_rate_hz": (1.0, 60.0),
    "lidar_rings": (1, 256),
    "lidar_columns": (16, 8192),
    "event_threshold": (0.02, 2.0),
    "start_ns": (1, 2**62),
}


@dataclass(frozen=True)
class DriveSettings:
    """Settings of one drive; equal settings give equal bytes.

    Attributes:
        seed: decides street, traffic, light and noise.
        duration_s: length of the drive.
        rate_hz: camera and depth images per second.
        width, height: size of the camera, depth and event images, pixels.
        fov_deg: horizontal field of view.
        speed_mps: mean speed of the ego vehicle.
        subframes: images between two camera images that the event camera sees; events come in as many packets.
        samples: rays per pixel, 1, 2 or 4.
        lidar_rate_hz: sweeps per second.
        lidar_rings, lidar_columns: rays of a sweep.
        event_threshold: mean change of log intensity that makes an event.
        noise: False leaves out all noise, dropped echoes and the spread of thresholds.
        start_ns: stamp at which the drive starts, nanoseconds since 1970.

    Raises:
        ConfigError: a value is out of bounds.
    """

    seed: int = 0
    duration_s: float = 10.0
    rate_hz: float = 10.0
    width: int = 320
    height: int = 240
    fov_deg: float = 75.0
    speed_mps: float = 8.0
    subframes: int = 5
    samples: int = 2
    lidar_rate_hz: float = 10.0
    lidar_rings: int = 64
    lidar_columns: int = 1024
    event_threshold: float = 0.25
    noise: bool = True
    start_ns: int = 1_700_000_000_000_000_000

    def __post_init__(self) -> None:
        wrong = [
            f"{name} {getattr(self, name)} (expected {low:g} to {high:g})"
            for name, (low, high) in _BOUNDS.items()
            if not low <= getattr(self, name) <= high
        ]
        if self.samples not in SAMPLES:
            wrong.append(f"samples {self.samples} (expected one of {', '.join(map(str, SAMPLES))})")
        if wrong:
            msg = f"drive settings: found {'; '.join(wrong)}; choose values within the bounds"
            raise ConfigError(msg)

    @property
    def images(self) -> int:
        """Number of camera images of the drive, at least one."""
        return max(round(self.duration_s * self.rate_hz), 1)

    @property
    def sweeps(self) -> int:
        """Number of LiDAR sweeps that end within the camera images' time."""
        return int(np.floor(self.images / self.rate_hz * self.lidar_rate_hz + 1e-6))

    def tick_ns(self, tick: int) -> int:
        """Stamp of a sub-frame; tick 0 is the start, camera image i is tick i * subframes, i from 1."""
        return self.start_ns + round(tick * 1e9 / (self.rate_hz * self.subframes))

    def sweep_ns(self, sweep: int) -> int:
        """Stamp of a LiDAR sweep, from 1."""
        return self.start_ns + round(sweep * 1e9 / self.lidar_rate_hz)

    def seconds(self, stamp_ns: int) -> float:
        """Time since the start of the drive."""
        return (stamp_ns - self.start_ns) * 1e-9
