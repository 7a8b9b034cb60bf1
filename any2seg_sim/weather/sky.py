# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Air and sky as compiled functions: what a weather's light is, ready for the loops over rays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from any2seg_sim.compiled import compiled
from any2seg_sim.textures import cell, noise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from any2seg_sim.weather.weather import Weather

Triple: TypeAlias = tuple[float, float, float]
_AIR_HEIGHT_M: Final = 60.0
"""Haze and fog lie on the ground this deep, so that the sky shows through them overhead and not at the horizon."""
_DISC_COS: Final = math.cos(math.radians(0.7))
_STARS_PER_RAD: Final = 150.0
_BOUNCE: Final = 0.17


class Light(NamedTuple):
    """A weather made ready for the loops, which are several times faster with plain numbers than with small arrays.

    Colours are red, green, blue; see Weather and Sky.
    """

    sun: Triple
    sun_rgb: Triple
    ambient_rgb: Triple
    bounce_rgb: Triple
    air_rgb: Triple
    zenith_rgb: Triple
    horizon_rgb: Triple
    cloud_rgb: Triple
    glow_rgb: Triple
    drift: Triple
    cover: float
    stars: float
    fog_per_m: float
    wetness: float
    night: float

    @staticmethod
    def of(weather: Weather) -> Light:
        """Make a weather ready; bounce is what grey ground throws back from below."""
        sky = weather.sky
        bounce = _BOUNCE * (0.7 * max(float(weather.sun[2]), 0.0) * weather.sun_rgb + weather.ambient_rgb)
        return Light(
            sun=_triple(weather.sun),
            sun_rgb=_triple(weather.sun_rgb),
            ambient_rgb=_triple(weather.ambient_rgb),
            bounce_rgb=_triple(bounce),
            air_rgb=_triple(weather.air_rgb),
            zenith_rgb=_triple(sky.zenith_rgb),
            horizon_rgb=_triple(sky.horizon_rgb),
            cloud_rgb=_triple(sky.cloud_rgb),
            glow_rgb=_triple(sky.glow_rgb),
            drift=_triple(weather.drift),
            cover=float(sky.cover),
            stars=float(sky.stars),
            fog_per_m=float(weather.fog_per_m),
            wetness=float(weather.wetness),
            night=1.0 if weather.night else 0.0,
        )


def _triple(values: NDArray[np.floating]) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


@compiled
def transmittance(per_m: float, distance_m: float) -> float:
    """Share t of light that passes the air, which adds light A: L = L0 t + A (1 - t) (Koschmieder, 1924)."""
    return math.exp(-per_m * distance_m)


@compiled
def _clouds(dx: float, dy: float, high: float, light: Light) -> tuple[float, float]:
    """Share of cloud in a direction, and a factor on its brightness."""
    reach = 1.0 / (high + 0.18)
    x, y = dx * reach + light.drift[0], dy * reach + light.drift[1]
    rough = noise(2.7 * x, 2.7 * y, 7.0)
    field = 0.6 * noise(1.1 * x, 1.1 * y, 3.0) + 0.28 * rough + 0.12 * noise(6 * x, 6 * y, 9.0)
    share = min(max((field - 0.76 + 0.58 * light.cover) * 4.0, 0.0), 0.85 + 0.15 * light.cover)
    return share * min(1.0, 7.0 * high + light.cover**4), 0.78 + 0.3 * field + 0.14 * rough


@compiled
def _star(dx: float, dy: float, dz: float, light: Light) -> float:
    """Brightness of a star in a direction, as a share of the brightest."""
    x, y, z = _STARS_PER_RAD * dx, _STARS_PER_RAD * dy, _STARS_PER_RAD * dz
    x, y, z = x + light.drift[0], y + light.drift[1], z + light.drift[2]
    chance = cell(x, y, z)
    if chance < 0.9988:
        return 0.0
    away = (x % 1.0 - 0.5) ** 2 + (y % 1.0 - 0.5) ** 2 + (z % 1.0 - 0.5) ** 2
    return max(1.0 - 6.0 * away, 0.0) * (0.25 + 0.75 * cell(y, z, x))


@compiled
def sky_radiance(dx: float, dy: float, dz: float, light: Light) -> tuple[float, float, float]:
    """Radiance of the sky in a unit direction: a gradient, clouds, stars, sun or moon, all seen through the air."""
    high = max(dz, 0.0)
    pale = math.exp(-4.5 * high)
    share, shade = _clouds(dx, dy, high, light)
    near = max(dx * light.sun[0] + dy * light.sun[1] + dz * light.sun[2], 0.0)
    disc = min(max((near - _DISC_COS) / (1.0 - _DISC_COS) * 2.0, 0.0), 1.0)
    glow = (1.0 - share) * disc + 0.05 * near**24 + 0.012 * near**4
    star = (1.0 - share) * light.stars * _star(dx, dy, dz, light) if light.stars > 0.0 else 0.0
    clear = math.exp(-light.fog_per_m * _AIR_HEIGHT_M / max(dz, 0.004))
    red = light.zenith_rgb[0] + pale * (light.horizon_rgb[0] - light.zenith_rgb[0])
    green = light.zenith_rgb[1] + pale * (light.horizon_rgb[1] - light.zenith_rgb[1])
    blue = light.zenith_rgb[2] + pale * (light.horizon_rgb[2] - light.zenith_rgb[2])
    red += share * (shade * light.cloud_rgb[0] - red) + glow * light.glow_rgb[0] + star
    green += share * (shade * light.cloud_rgb[1] - green) + glow * light.glow_rgb[1] + star
    blue += share * (shade * light.cloud_rgb[2] - blue) + glow * light.glow_rgb[2] + star
    return (
        red * clear + light.air_rgb[0] * (1.0 - clear),
        green * clear + light.air_rgb[1] * (1.0 - clear),
        blue * clear + light.air_rgb[2] * (1.0 - clear),
    )
