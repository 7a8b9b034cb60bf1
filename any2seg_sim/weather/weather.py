# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The five weathers, named as DELIVER's folders are, and how each one's light and air are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

WEATHERS: Final = ("cloud", "fog", "night", "rain", "sun")
"""Names of the weathers; https://jamycheung.github.io/DELIVER.html lists them as adverse conditions."""


def _rgb(red: float, green: float, blue: float) -> NDArray[np.float32]:
    return np.array([red, green, blue], np.float32)


@dataclass(frozen=True, eq=False)
class Sky:
    """What is seen above the roofs.

    Attributes:
        zenith_rgb: (3,) float32 radiance overhead.
        horizon_rgb: (3,) float32 radiance low down, above the haze.
        cloud_rgb: (3,) float32 radiance of clouds.
        glow_rgb: (3,) float32 radiance of the sun's or moon's disc; a faint share of it lies around.
        cover: share of the sky behind clouds, 0 to 1.
        stars: radiance of the brightest stars.
    """

    zenith_rgb: NDArray[np.float32]
    horizon_rgb: NDArray[np.float32]
    cloud_rgb: NDArray[np.float32]
    glow_rgb: NDArray[np.float32]
    cover: float
    stars: float = 0.0


@dataclass(frozen=True, eq=False)
class Weather:
    """Light and air of one drive; the same scene can be seen under any.

    Attributes:
        name: one of WEATHERS.
        sun: (3,) float32 unit vector towards the sun, or at night the moon.
        sun_rgb: (3,) float32 irradiance over pi of a surface that faces it, 0 behind thick clouds.
        ambient_rgb: (3,) float32 irradiance over pi of a surface that faces the open sky.
        air_rgb: (3,) float32 radiance of endlessly deep air.
        sky: what is above.
        drift: (3,) float32 place in the endless pattern of clouds and stars.
        fog_per_m: extinction of the air, 1/m.
        rain_mm_h: rain rate.
        wetness: how wet the ground is, 0 to 1.
        night: lamps are on.
        exposure: factor on linear radiance that a camera would choose, its gain included.
        gain: part of the exposure that is amplified, and noise with it.
        lidar_per_m: extinction at the wavelength of a LiDAR, 1/m, one way.
        lidar_lost: share of echoes that are lost at any range.
        lidar_clutter: share of rays that end in a drop of water close by.
    """

    name: str
    sun: NDArray[np.float32]
    sun_rgb: NDArray[np.float32]
    ambient_rgb: NDArray[np.float32]
    air_rgb: NDArray[np.float32]
    sky: Sky
    drift: NDArray[np.float32]
    fog_per_m: float = 0.0008
    rain_mm_h: float = 0.0
    wetness: float = 0.0
    night: bool = False
    exposure: float = 1.0
    gain: float = 1.0
    lidar_per_m: float = 0.0002
    lidar_lost: float = 0.0
    lidar_clutter: float = 0.0

    @staticmethod
    def drawn(name: str, rng: np.random.Generator) -> Weather:
        """Draw a weather of a name.

        Raises:
            ConfigError: there is no such weather.
        """
        if name not in _DRAWN:
            msg = f"weather: found {name!r}, expected one of {', '.join(WEATHERS)}; choose one of these"
            raise ConfigError(msg)
        azimuth = float(rng.uniform(0.0, 2.0 * math.pi))
        drift = rng.uniform(-500.0, 500.0, 3).astype(np.float32)
        return _DRAWN[name](rng, azimuth, drift)

    @property
    def shadows(self) -> bool:
        """Whether the sun casts shadows."""
        return bool(np.max(self.sun_rgb) > 0.0)

    def lidar_survival(self, distance_m: NDArray[np.floating]) -> NDArray[np.float32]:
        """Give the share of a LiDAR's light (N,) that comes back through this air: exp(-2 alpha d)."""
        return np.asarray(np.exp(-2.0 * self.lidar_per_m * distance_m), np.float32)


def _towards(azimuth: float, elevation: float) -> NDArray[np.float32]:
    flat = math.cos(elevation)
    return _rgb(flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation))


def _sun(rng: np.random.Generator, azimuth: float, drift: NDArray[np.float32]) -> Weather:
    elevation = float(rng.uniform(0.75, 1.1))
    warm = 1.1 - elevation
    sky = Sky(
        zenith_rgb=_rgb(0.16, 0.32, 0.68),
        horizon_rgb=_rgb(0.66, 0.74, 0.84),
        cloud_rgb=_rgb(0.95, 0.95, 0.96),
        glow_rgb=_rgb(6.0, 5.6, 4.8),
        cover=float(rng.uniform(0.3, 0.6)),
    )
    return Weather(
        "sun",
        _towards(azimuth, elevation),
        _rgb(1.2, 1.1 - 0.1 * warm, 0.96 - 0.25 * warm),
        _rgb(0.62, 0.69, 0.79),
        _rgb(0.66, 0.74, 0.84),
        sky,
        drift,
        fog_per_m=float(rng.uniform(0.0006, 0.0014)),
        exposure=0.85,
    )


def _overcast(name: str, light: float, azimuth: float, drift: NDArray[np.float32], **air: Any) -> Weather:
    """Make a day without a sun: light comes evenly from above."""
    grey = light * _rgb(0.92, 0.96, 1.0)
    sky = Sky(zenith_rgb=0.8 * grey, horizon_rgb=0.92 * grey, cloud_rgb=0.95 * grey, glow_rgb=0.25 * grey, cover=1.0)
    return Weather(name, _towards(azimuth, 0.9), _rgb(0.0, 0.0, 0.0), grey, 0.9 * grey, sky, drift, **air)


def _cloud(rng: np.random.Generator, azimuth: float, drift: NDArray[np.float32]) -> Weather:
    light = float(rng.uniform(0.8, 1.0))
    haze = float(rng.uniform(0.0012, 0.0025))
    return _overcast("cloud", light, azimuth, drift, fog_per_m=haze, exposure=0.95)


def _fog(rng: np.random.Generator, azimuth: float, drift: NDArray[np.float32]) -> Weather:
    """Draw fog that hides what is farther than 90 to 130 m (visibility 3.912 / beta)."""
    beta = float(rng.uniform(0.03, 0.045))
    light = float(rng.uniform(0.75, 0.9))
    clutter = float(rng.uniform(0.01, 0.03))
    lidar = {"lidar_per_m": 0.6 * beta, "lidar_lost": 0.02, "lidar_clutter": clutter}
    return _overcast("fog", light, azimuth, drift, fog_per_m=beta, exposure=0.9, **lidar)


def _rain(rng: np.random.Generator, azimuth: float, drift: NDArray[np.float32]) -> Weather:
    rate = float(rng.uniform(10.0, 35.0))
    light = float(rng.uniform(0.5, 0.65))
    wetness = float(rng.uniform(0.7, 1.0))
    air = {"fog_per_m": 0.004 + 1.2e-4 * rate, "rain_mm_h": rate, "wetness": wetness}
    lidar = {"lidar_per_m": _rain_extinction(rate), "lidar_lost": 0.04 + 0.002 * rate, "lidar_clutter": 3e-4 * rate}
    return _overcast("rain", light, azimuth, drift, **air, **lidar, exposure=1.35, gain=1.5)


def _rain_extinction(rate_mm_h: float) -> float:
    """Extinction of light in rain, 1/m: 1.076 R^0.67 dB/km (Carbonneau and Wisely, Proc. SPIE 3232, 1998)."""
    return 1.076 * float(rate_mm_h**0.67) / (1000.0 * 10.0 / math.log(10.0))


def _night(rng: np.random.Generator, azimuth: float, drift: NDArray[np.float32]) -> Weather:
    """Draw a night; the town's own glow lies low in the sky."""
    moon = float(rng.uniform(0.7, 1.3))
    sky = Sky(
        zenith_rgb=_rgb(0.0009, 0.0014, 0.0037),
        horizon_rgb=_rgb(0.0078, 0.0073, 0.0083),
        cloud_rgb=_rgb(0.0055, 0.0055, 0.0066),
        glow_rgb=_rgb(0.5, 0.5, 0.46),
        cover=float(rng.uniform(0.2, 0.7)),
        stars=0.05,
    )
    return Weather(
        "night",
        _towards(azimuth, float(rng.uniform(0.5, 1.1))),
        _rgb(0.0, 0.0, 0.0),
        moon * _rgb(0.012, 0.014, 0.020),
        _rgb(0.0072, 0.0068, 0.0077),
        sky,
        drift,
        fog_per_m=float(rng.uniform(0.001, 0.003)),
        night=True,
        exposure=7.0,
        gain=4.0,
    )


_DRAWN: Final[dict[str, Callable[[np.random.Generator, float, NDArray[np.float32]], Weather]]] = {
    "cloud": _cloud,
    "fog": _fog,
    "night": _night,
    "rain": _rain,
    "sun": _sun,
}
