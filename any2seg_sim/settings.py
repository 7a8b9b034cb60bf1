# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a drive is: its length, the sensors' rates and sizes, and the seed that decides everything else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_sim.renderer import SAMPLES
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAILURES: Final = ("motionblur", "overexposure", "underexposure", "lidarjitter", "eventlowres")
"""Names of the sensor failures, as in the folder names of DELIVER (https://jamycheung.github.io/DELIVER.html)."""
RIGS: Final = ("aligned", "vehicle")
DISTORTIONS: Final = ("none", "plumb_bob", "rational_polynomial", "equidistant")
DEPTH_KINDS: Final = ("stereo", "tof")

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "seed": (0, 2**63),
    "duration_s": (0.05, 600.0),
    "rate_hz": (1.0, 60.0),
    "width": (16, 4096),
    "height": (16, 4096),
    "fov_deg": (20.0, 140.0),
    "speed_mps": (0.0, 15.0),
    "subframes": (1, 50),
    "exposure_s": (0.0, 0.2),
    "depth_rate_hz": (0.0, 60.0),
    "depth_min_m": (0.05, 10.0),
    "depth_max_m": (1.0, 1000.0),
    "lidar_rate_hz": (1.0, 60.0),
    "lidar_rings": (1, 256),
    "lidar_columns": (16, 8192),
    "lidar_lowest_deg": (-90.0, 90.0),
    "lidar_highest_deg": (-90.0, 90.0),
    "lidar_fov_deg": (10.0, 360.0),
    "lidar_max_m": (1.0, 1000.0),
    "event_threshold": (0.02, 2.0),
    "event_spread": (0.0, 0.3),
    "event_refractory_s": (0.0, 0.01),
    "event_noise_hz": (0.0, 50.0),
    "event_window_s": (0.001, 1.0),
    "camera_offset_s": (-10.0, 10.0),
    "depth_offset_s": (-10.0, 10.0),
    "event_offset_s": (-10.0, 10.0),
    "lidar_offset_s": (-10.0, 10.0),
    "start_ns": (10**10, 2**62),
}
_CHOICES: Final[Mapping[str, Sequence[object]]] = {
    "weather": WEATHERS,
    "failure": ("", *FAILURES),
    "rig": RIGS,
    "distortion": DISTORTIONS,
    "depth_kind": DEPTH_KINDS,
    "samples": SAMPLES,
}
_KINDS: Final = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}


def _is_like(value: object, default: object) -> bool:
    """Tell whether a value is of the type of a default; whole numbers are numbers too."""
    kind = type(default)
    return isinstance(value, (int, float) if kind is float else kind) and (isinstance(value, bool) == (kind is bool))


@dataclass(frozen=True)
class DriveSettings:
    """Settings of one drive; equal settings give equal bytes.

    Attributes:
        seed: decides street, traffic, light and noise.
        duration_s: length of the drive.
        rate_hz: camera images per second.
        width, height: size of the camera, depth and event images, pixels.
        fov_deg: horizontal field of view of the undistorted image.
        speed_mps: mean speed of the ego vehicle.
        subframes: images between two camera images that the event camera sees; events come in as many packets.
        samples: rays per pixel, 1, 2 or 4.
        weather: cloud, fog, night, rain or sun.
        failure: motionblur, overexposure, underexposure, lidarjitter, eventlowres, or empty for sound sensors.
        rig: aligned (camera, depth and event camera look through one lens) or vehicle (each has its own place).
        distortion: model of all lenses, plumb_bob, rational_polynomial, equidistant or none.
        exposure_s: exposure time of the camera, centred on the stamp; 0 takes all light at the stamp.
        depth_kind: stereo or tof (time of flight); decides where depth is missing and how it errs.
        depth_rate_hz: depth images per second; 0 takes them with the camera images.
        depth_min_m: nearer depth is missing.
        depth_max_m: farther depth is missing.
        lidar_rate_hz: sweeps per second.
        lidar_rings: rings of the LiDAR.
        lidar_columns: measurements per sweep and ring.
        lidar_lowest_deg: elevation of the lowest ring.
        lidar_highest_deg: elevation of the highest ring.
        lidar_fov_deg: azimuth that a sweep covers, the middle being ahead.
        lidar_max_m: farther echoes are too weak.
        lidar_rolling: take every measurement of a sweep at its own time, while the vehicle moves on; otherwise the
            whole sweep is taken at its stamp.
        event_threshold: mean change of log intensity that makes an event.
        event_spread: standard deviation of the thresholds from pixel to pixel, as a share of their mean.
        event_refractory_s: a pixel is deaf for so long after an event.
        event_noise_hz: false events per pixel and second in bright light; more in the dark.
        event_window_s: length of the window of events that ends at a moment of render_moments.
        camera_offset_s: how far the camera's clock is ahead of true time.
        depth_offset_s: how far the depth sensor's clock is ahead of true time.
        event_offset_s: how far the event camera's clock is ahead of true time.
        lidar_offset_s: how far the LiDAR's clock is ahead of true time.
        noise: False leaves out all noise, holes, dropped and false echoes and the spread of thresholds.
        start_ns: stamp at which the drive starts, nanoseconds since 1970.

    Raises:
        ConfigError: values are of other types, out of bounds or unknown; the message names all of them.
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
    weather: str = "sun"
    failure: str = ""
    rig: str = "aligned"
    distortion: str = "none"
    exposure_s: float = 0.0
    depth_kind: str = "stereo"
    depth_rate_hz: float = 0.0
    depth_min_m: float = 0.3
    depth_max_m: float = 100.0
    lidar_rate_hz: float = 10.0
    lidar_rings: int = 64
    lidar_columns: int = 1024
    lidar_lowest_deg: float = -25.0
    lidar_highest_deg: float = 14.0
    lidar_fov_deg: float = 360.0
    lidar_max_m: float = 100.0
    lidar_rolling: bool = False
    event_threshold: float = 0.25
    event_spread: float = 0.03
    event_refractory_s: float = 0.00005
    event_noise_hz: float = 0.1
    event_window_s: float = 0.05
    camera_offset_s: float = 0.0
    depth_offset_s: float = 0.0
    event_offset_s: float = 0.0
    lidar_offset_s: float = 0.0
    noise: bool = True
    start_ns: int = 1_700_000_000_000_000_000

    def __post_init__(self) -> None:
        wrong = [
            f"{field.name} {getattr(self, field.name)!r} (expected {_KINDS[type(field.default)]})"
            for field in fields(self)
            if not _is_like(getattr(self, field.name), field.default)
        ]
        if wrong:
            msg = f"drive settings: found {'; '.join(wrong)}; give values of these types"
            raise ConfigError(msg)
        wrong = [
            f"{name} {getattr(self, name)} (expected {low:g} to {high:g})"
            for name, (low, high) in _BOUNDS.items()
            if not low <= getattr(self, name) <= high
        ]
        wrong += [
            f"{name} {getattr(self, name)!r} (expected one of {', '.join(str(item) or 'nothing' for item in known)})"
            for name, known in _CHOICES.items()
            if getattr(self, name) not in known
        ]
        wrong += [
            f"{low} {getattr(self, low)} (expected less than {high}, {getattr(self, high)})"
            for low, high in (("depth_min_m", "depth_max_m"), ("lidar_lowest_deg", "lidar_highest_deg"))
            if getattr(self, low) >= getattr(self, high)
        ]
        if wrong:
            msg = f"drive settings: found {'; '.join(wrong)}; choose values within the bounds"
            raise ConfigError(msg)

    @property
    def images(self) -> int:
        """Number of camera images of the drive, at least one."""
        return max(round(self.duration_s * self.rate_hz), 1)

    @property
    def end_ns(self) -> int:
        """Stamp of the last camera image, with which the drive ends."""
        return self.image_ns(self.images)

    def image_ns(self, image: int) -> int:
        """Stamp of a camera image, from 1; 0 is the start."""
        return self.tick_ns(image * self.subframes)

    def tick_ns(self, tick: int) -> int:
        """Stamp of a sub-frame; tick 0 is the start, camera image i is tick i * subframes, i from 1."""
        return self.start_ns + round(tick * 1e9 / (self.rate_hz * self.subframes))

    def due_ns(self, rate_hz: float, after_ns: int, until_ns: int) -> list[int]:
        """Stamps of what comes at a rate, from one period after the start on, within (after_ns, until_ns]."""
        first = int(np.floor((after_ns - self.start_ns) * 1e-9 * rate_hz)) - 1
        last = int(np.ceil((until_ns - self.start_ns) * 1e-9 * rate_hz)) + 1
        stamps = (self.start_ns + round(index * 1e9 / rate_hz) for index in range(max(first, 1), last + 1))
        return [stamp for stamp in stamps if after_ns < stamp <= until_ns]

    def seconds(self, stamp_ns: int) -> float:
        """Time since the start of the drive."""
        return (stamp_ns - self.start_ns) * 1e-9
