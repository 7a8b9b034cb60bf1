# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the scene as light, before any sensor: linear radiance, depth and class.

Every image of one renderer is made in exactly the same way, so that the difference of two of them, which
is what an event camera sees, holds nothing but what moved.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import GLOSS, Label
from any2seg_sim.shading import shade
from any2seg_sim.tracer import Tracer, turned
from any2seg_sim.traffic import meshes_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import CameraModel
    from any2seg_sim.scene import Scene

_OFFSETS: Final = {
    1: ((0.0, 0.0),),
    2: ((-0.25, -0.25), (0.25, 0.25)),
    4: ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375)),
}
SAMPLES: Final = tuple(_OFFSETS)
"""Rays per pixel that a renderer can be asked for."""
_PROBES: Final = ((0.6, 0.3, 0.74), (-0.3, 0.6, 0.74), (-0.6, -0.3, 0.74), (0.3, -0.6, 0.74))
_PROBE_REACH_M: Final = 3.0
_MOVERS_BEHIND_M: Final = 60.0
_MOVERS_AHEAD_M: Final = 120.0
_LIFT_M: Final = 0.015
"""Shadow rays start so far off the surface: above the road markings, which lie that close to the road."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What reaches a camera.

    Attributes:
        radiance: (H, W, 3) float32 linear light, 1 being near a white surface in the sun.
        depth: (H, W) float32 metres along the optical axis through pixel centres, NaN in the sky.
        labels: (H, W) uint8 class at pixel centres.
    """

    radiance: NDArray[np.float32]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Cast:
    """What N rays met; only the distance, infinite, means anything where that was nothing.

    Attributes:
        distance: (N,) float32 metres.
        labels: (N,) uint8 class.
        surface: (N,) uint8 kind of material.
        rgb: (N, 3) float32 albedo.
        facing: (N,) float32 cosine between ray and surface normal.
    """

    distance: NDArray[np.float32]
    labels: NDArray[np.uint8]
    surface: NDArray[np.uint8]
    rgb: NDArray[np.float32]
    facing: NDArray[np.float32]


def camera_rays(camera: CameraModel, offset: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32]:
    """Unit directions (H * W, 3) in the optical frame through pixel centres, which lie at whole coordinates."""
    u, v = np.meshgrid(np.arange(camera.width) + offset[0], np.arange(camera.height) + offset[1])
    rays = np.stack(
        [(u - camera.k[0, 2]) / camera.k[0, 0], (v - camera.k[1, 2]) / camera.k[1, 1], np.ones_like(u)], -1
    ).reshape(-1, 3)
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True), np.float32)


class Renderer:
    """Look at one scene, at one moment at a time."""

    def __init__(self, scene: Scene, *, samples: int = 4) -> None:
        self._scene = scene
        self._tracer = Tracer(scene.still)
        self._samples = samples
        self._t_s: float | None = None
        self._rays = functools.lru_cache(maxsize=8)(camera_rays)

    def set_time(self, t_s: float) -> None:
        """Put everything that moves where it is at t_s."""
        if t_s == self._t_s:
            return
        self._t_s, scene = t_s, self._scene
        x = scene.drive.travelled(t_s)
        self._tracer.set_movers(meshes_between(scene.movers, t_s, x - _MOVERS_BEHIND_M, x + _MOVERS_AHEAD_M))

    def radiance(self, camera: CameraModel, pose: NDArray[np.float64]) -> NDArray[np.float32]:
        """Render linear light (H, W, 3) as a camera at pose (optical frame to street, (4, 4)) receives it."""
        offsets = _OFFSETS[self._samples]
        total = np.zeros((camera.height * camera.width, 3), np.float32)
        for index, offset in enumerate(offsets):
            total += self._sample(self._rays(camera, offset), camera, pose, index)
        return np.asarray(total / len(offsets), np.float32).reshape(camera.height, camera.width, 3)

    def _sample(
        self, rays: NDArray[np.float32], camera: CameraModel, pose: NDArray[np.float64], index: int
    ) -> NDArray[np.float32]:
        """Shade one ray per pixel; each sample of a pixel asks another part of the sky whether it is open."""
        tracer, light = self._tracer, self._scene.light
        directions = turned(rays, pose)
        origin = pose[:3, 3].astype(np.float32)
        hits = tracer.nearest(origin, directions)
        solid = np.flatnonzero(hits.face >= 0)
        starts = origin + directions[solid] * hits.distance[solid, None] + _LIFT_M * hits.normal[solid]
        sunlit = np.zeros(len(rays), np.bool_)
        towards = np.sum(hits.normal[solid] * light.sun, 1) > 0
        sun_rays = np.tile(light.sun, (int(towards.sum()), 1))
        sunlit[solid[towards]] = ~tracer.blocked(starts[towards], sun_rays)
        probe = np.array(_PROBES[index], np.float32) + 0.9 * hits.normal[solid]
        probe /= np.sqrt(np.sum(probe * probe, 1, keepdims=True))
        open_sky = np.zeros(len(rays), np.float32)
        open_sky[solid] = np.where(tracer.blocked(starts, probe, _PROBE_REACH_M), 0.3, 1.0)
        width = float(1.0 / camera.k[0, 0] / np.sqrt(self._samples))
        out = np.empty((len(rays), 3), np.float32)
        lamps = (light.sun, light.sun_rgb, light.ambient_rgb)
        surfaces = (tracer.rgb, tracer.surface, sunlit, open_sky)
        shade(origin, directions, hits.distance, hits.face, hits.normal, *surfaces, lamps, GLOSS, width, out)
        return out

    def truth(self, camera: CameraModel, pose: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Measure depth along the optical axis and class (H, W) exactly at pixel centres."""
        rays = self._rays(camera, (0.0, 0.0))
        cast = self.cast(pose, rays)
        seen = np.isfinite(cast.distance)
        depth = np.where(seen, cast.distance * rays[:, 2], np.float32(np.nan))
        labels = np.where(seen, cast.labels, np.uint8(Label.SKY))
        return depth.reshape(camera.height, camera.width), labels.reshape(camera.height, camera.width)

    def frame(self, camera: CameraModel, pose: NDArray[np.float64]) -> Frame:
        """Render everything that a camera at pose (optical frame to street) could measure."""
        return Frame(self.radiance(camera, pose), *self.truth(camera, pose))

    def cast(self, pose: NDArray[np.float64], rays: NDArray[np.float32]) -> Cast:
        """Send rays (N, 3) of a sensor's frame from its pose (sensor to street, (4, 4))."""
        tracer = self._tracer
        directions = turned(rays, pose)
        hits = tracer.nearest(pose[:3, 3], directions)
        facing = np.abs(np.sum(hits.normal * directions, 1))
        return Cast(hits.distance, tracer.label[hits.face], tracer.surface[hits.face], tracer.rgb[hits.face], facing)
