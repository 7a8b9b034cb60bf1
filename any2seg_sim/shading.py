# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How surfaces look: linear radiance of every ray of an image, under sun, sky, lamps and through the air."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from any2seg_sim.compiled import compiled
from any2seg_sim.lighting import lamplight
from any2seg_sim.materials import Label, Surface
from any2seg_sim.occlusion import Heights, openness
from any2seg_sim.textures import cell, noise, pattern, wet_ground
from any2seg_sim.weather.sky import Light, Triple, sky_radiance, transmittance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from any2seg_sim.rays import Rays

_LEAVES, _LAMP, _GLASS = int(Surface.LEAVES), int(Surface.LAMP), int(Surface.GLASS)
_BUILDING: Final = int(Label.BUILDING)
_OPEN_BEYOND_M: Final = 90.0
"""Farther away occlusion is left out, faded from two thirds of this on."""
_LAMP_GLOW: Final = 0.9
_WINDOW_GLASS: Final = 0.14
_DARK_ROOMS: Final = 0.62


class Faces(NamedTuple):
    """What every face is made of: rgb (F, 3) float32 albedo, surface (F,) and label (F,) uint8."""

    rgb: NDArray[np.float32]
    surface: NDArray[np.uint8]
    label: NDArray[np.uint8]


class Surroundings(NamedTuple):
    """What light there is: the weather's, the sky's openness, lamps (L, 11) as lighting.packed gives them."""

    light: Light
    heights: Heights
    lamps: NDArray[np.float32]
    gloss: NDArray[np.float32]


@compiled
def _fresnel(gloss: float, facing: float) -> float:
    """Schlick's approximation of the share of light that is mirrored."""
    return gloss + (1.0 - gloss) * (1.0 - facing) ** 5


@compiled
def _mirrored_sky(d: Triple, n: Triple, facing: float, light: Light) -> Triple:
    """Radiance of what a small glossy surface mirrors: the sky above, a dim street below."""
    rx, ry, rz = d[0] + 2 * facing * n[0], d[1] + 2 * facing * n[1], d[2] + 2 * facing * n[2]
    if rz < 0.0:
        return 0.9 * light.bounce_rgb[0], 0.9 * light.bounce_rgb[1], 0.9 * light.bounce_rgb[2]
    red, green, blue = sky_radiance(rx, ry, rz, light)
    dim = 0.3 + 0.7 * min(1.0, 2.5 * rz)
    return dim * min(red, 3.0), dim * min(green, 3.0), dim * min(blue, 3.0)


@compiled
def _room(p: Triple, n: Triple, pitch: float) -> tuple[float, float]:
    """Two random numbers in [0, 1) for the room behind a window, the same all over it."""
    along = p[1] * n[0] - p[0] * n[1]
    shift = (math.floor(along / pitch) + 0.5) * pitch - along
    x, y, floor = p[0] - shift * n[1], p[1] + shift * n[0], math.floor(p[2] / 3.2)
    return cell(0.71 * x + 0.13, 0.71 * y + 0.27, floor + 0.5), cell(0.71 * x + 0.13, 0.71 * y + 0.27, floor + 70.5)


@compiled
def _irradiance(
    n: Triple,
    kind: int,
    sunlit: float,
    open_sky: float,
    lamps: Triple,
    light: Light,
) -> Triple:
    """Light that falls on a surface, over pi."""
    direct = max(n[0] * light.sun[0] + n[1] * light.sun[1] + n[2] * light.sun[2], 0.0) * sunlit
    if kind == _LEAVES:
        direct = 0.25 * sunlit + 0.75 * direct
    sky = open_sky * (0.6 + 0.4 * n[2])
    ground = (0.5 - 0.5 * n[2]) * (0.35 + 0.65 * open_sky)
    share = 0.35 + 0.65 * open_sky  # lamps cast no shadows, but narrow places get less of their light
    return (
        share * lamps[0] + direct * light.sun_rgb[0] + sky * light.ambient_rgb[0] + ground * light.bounce_rgb[0],
        share * lamps[1] + direct * light.sun_rgb[1] + sky * light.ambient_rgb[1] + ground * light.bounce_rgb[1],
        share * lamps[2] + direct * light.sun_rgb[2] + sky * light.ambient_rgb[2] + ground * light.bounce_rgb[2],
    )


@compiled
def _window(
    p: Triple,
    n: Triple,
    d: Triple,
    facing: float,
    pitch: float,
    fallen: Triple,
    light: Light,
) -> Triple:
    """Radiance of a window pane: the sky in the glass over a dark room, a curtain, or at night a lit room."""
    share = _fresnel(_WINDOW_GLASS, facing)
    red, green, blue = _mirrored_sky(d, n, facing, light)
    chance, other = _room(p, n, pitch)
    curtain = 0.25 if other > 0.7 else 0.03
    red, green, blue = share * red, share * green, share * blue
    red, green, blue = red + curtain * fallen[0], green + curtain * fallen[1], blue + curtain * fallen[2]
    if light.night > 0.0 and chance > _DARK_ROOMS:
        # Lamps hang from the ceiling; what stands in the room is a blur before them.
        bright = (0.05 + 0.25 * (chance - _DARK_ROOMS)) * (0.35 + 0.65 * (p[2] / 3.2 % 1.0))
        bright *= 0.55 + 0.9 * noise(1.7 * p[0], 1.7 * p[1], 1.3 * p[2])
        red, green, blue = red + bright, green + bright * (0.86 - 0.26 * other), blue + bright * (0.68 - 0.5 * other)
    return red, green, blue


@compiled
def _surface(
    p: Triple,
    n: Triple,
    d: Triple,
    width: float,
    kind: int,
    label: int,
    rgb: Triple,
    gloss: float,
    fallen: Triple,
    mirror: Triple,
    light: Light,
) -> Triple:
    """Radiance of a surface at a point, before the air; fallen is the light on it, mirror what water there shows."""
    facing = max(-(d[0] * n[0] + d[1] * n[1] + d[2] * n[2]), 0.02)
    width /= max(facing, 0.08)
    factor, frame, glass = pattern(kind, p, n, width)
    wet, pool = wet_ground(kind, p[0], p[1], n[2], light.wetness, width)
    factor = max(factor, 0.1) * (1.0 - 0.45 * wet - 0.2 * wet * pool)
    red, green, blue = rgb[0] * factor * fallen[0], rgb[1] * factor * fallen[1], rgb[2] * factor * fallen[2]
    if glass > 0.0:
        pane = _window(p, n, d, facing, 3.0, fallen, light)
        rest = 1.0 - frame - glass
        red = rest * red + frame * 0.6 * fallen[0] + glass * pane[0]
        green = rest * green + frame * 0.6 * fallen[1] + glass * pane[1]
        blue = rest * blue + frame * 0.6 * fallen[2] + glass * pane[2]
    elif kind == _GLASS and label == _BUILDING:
        red, green, blue = _window(p, n, d, facing, 6.0, fallen, light)
    elif wet > 0.0 or gloss > 0.0:
        share = wet * (0.4 + 0.6 * pool) * _fresnel(0.02, facing) if wet > 0.0 else _fresnel(gloss, facing)
        if mirror[0] < 0.0:
            mirror = _mirrored_sky(d, n, facing, light)
        red += share * (mirror[0] - red)
        green += share * (mirror[1] - green)
        blue += share * (mirror[2] - blue)
    if kind == _LAMP:
        red, green, blue = red + _LAMP_GLOW * rgb[0], green + _LAMP_GLOW * rgb[1], blue + _LAMP_GLOW * rgb[2]
    return red, green, blue


@compiled
def shade(
    rays: Rays,
    faces: Faces,
    sunlit: NDArray[np.bool_],
    mirror: NDArray[np.float32],
    around: Surroundings,
    out: NDArray[np.float32],
) -> None:
    """Write the linear radiance (N, 3) of rays.

    Args:
        rays: the rays.
        faces: what they met.
        sunlit: (N,) whether the sun is seen from where they ended.
        mirror: (N, 3) radiance of what the ground mirrors there, negative where that was not traced.
        around: light.
        out: (N, 3) float32.
    """
    light, lamps, gloss = around.light, around.lamps, around.gloss
    solid, crown, x_m, y_m, per_m = around.heights
    for i in range(len(rays.face)):
        face, far = rays.face[i], float(rays.distance[i])
        d = (float(rays.directions[i, 0]), float(rays.directions[i, 1]), float(rays.directions[i, 2]))
        if face < 0:
            out[i, 0], out[i, 1], out[i, 2] = sky_radiance(d[0], d[1], d[2], light)
            continue
        n = (float(rays.normal[i, 0]), float(rays.normal[i, 1]), float(rays.normal[i, 2]))
        p = (rays.origins[i, 0] + far * d[0], rays.origins[i, 1] + far * d[1], rays.origins[i, 2] + far * d[2])
        rgb = (float(faces.rgb[face, 0]), float(faces.rgb[face, 1]), float(faces.rgb[face, 2]))
        mirrored = (float(mirror[i, 0]), float(mirror[i, 1]), float(mirror[i, 2]))
        kind, label = int(faces.surface[face]), int(faces.label[face])
        open_sky, lamp_rgb = 1.0, (0.0, 0.0, 0.0)
        if far < _OPEN_BEYOND_M:
            fade = min(3.0 - 3.0 * far / _OPEN_BEYOND_M, 1.0)
            open_sky += fade * (openness(p, n, solid, crown, x_m, y_m, per_m) - 1.0)
        if len(lamps):
            lamp_rgb = lamplight(p, n, lamps)
        fallen = _irradiance(n, kind, 1.0 if sunlit[i] else 0.0, open_sky, lamp_rgb, light)
        shown = _surface(p, n, d, far * rays.width, kind, label, rgb, float(gloss[kind]), fallen, mirrored, light)
        clear = transmittance(light.fog_per_m, far)
        out[i, 0] = shown[0] * clear + light.air_rgb[0] * (1.0 - clear)
        out[i, 1] = shown[1] * clear + light.air_rgb[1] * (1.0 - clear)
        out[i, 2] = shown[2] * clear + light.air_rgb[2] * (1.0 - clear)
