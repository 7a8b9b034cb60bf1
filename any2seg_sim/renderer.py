# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the scene as light, before any sensor: linear radiance, depth and class.

Every image of one renderer is made in exactly the same way, so that the difference of two of them, which
is what an event camera sees, holds nothing but what moved.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from any2seg_core.frames import CameraModel
from any2seg_sim.edges import blend_corners, corner_numbers, find_edges
from any2seg_sim.lighting import packed
from any2seg_sim.materials import GLOSS, Label
from any2seg_sim.occlusion import SkyMap
from any2seg_sim.rays import Rays, leave, mirror_rays, sunward
from any2seg_sim.sensors.lens import undistorted
from any2seg_sim.shading import Faces, Surroundings, shade
from any2seg_sim.tracer import Hits, Tracer, turned
from any2seg_sim.traffic import meshes_near
from any2seg_sim.weather.rain import SHUTTER_S, Rain
from any2seg_sim.weather.sky import Light

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.lamps import Lamp
    from any2seg_sim.scene import Scene
    from any2seg_sim.weather import Weather

SAMPLES: Final = (1, 2, 4)
"""Rays per pixel that a renderer can be asked for."""
_OFFSETS: Final = ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375))
"""Places of four rays in a pixel."""
_MOVERS_M: Final = 120.0
_LAMPS_M: Final = 90.0
_NO_MIRROR: Final = -1.0
_Look: TypeAlias = "tuple[NDArray[np.float32], float | None, NDArray[np.float64], NDArray[np.float32], Hits]"
"""Rays, time and pose of a look, directions in the street and what they met."""


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
    """Unit directions (H * W, 3) in the optical frame through pixel centres, which lie at whole coordinates.

    Raises:
        CalibrationError: the camera's lens model is not usable, or sees nothing in part of the image.
    """
    d = np.asarray(camera.d, np.float64)
    size, k = (camera.width, camera.height), np.asarray(camera.k, np.float64)
    return _camera_rays(size, k.tobytes(), camera.distortion_model, d.tobytes(), offset)


@functools.lru_cache(maxsize=16)
def _camera_rays(
    size: tuple[int, int], k: bytes, model: str, d: bytes, offset: tuple[float, float]
) -> NDArray[np.float32]:
    """Do the work once for all cameras that are equal."""
    camera = CameraModel(*size, np.frombuffer(k).reshape(3, 3), model, np.frombuffer(d))
    u, v = np.meshgrid(np.arange(size[0]) + offset[0], np.arange(size[1]) + offset[1])
    rays = undistorted(np.stack([u, v], -1).reshape(-1, 2), camera)
    rays.flags.writeable = False
    return rays


class Renderer:
    """Look at one scene in one weather, at one moment at a time."""

    def __init__(self, scene: Scene, *, weather: Weather, samples: int = 4, seed: int = 0) -> None:
        self._scene, self._weather, self._samples = scene, weather, samples
        self._tracer = Tracer(scene.still)
        self._sky_map = SkyMap(scene.still)
        self._light = Light.of(weather)
        self._rain = Rain(weather, seed) if weather.rain_mm_h > 0 else None
        self._t_s: float | None = None
        self._lamps = packed(())
        self._last_look: _Look | None = None

    def set_time(self, t_s: float) -> None:
        """Put everything that moves where it is at t_s."""
        if t_s == self._t_s:
            return
        self._t_s, scene = t_s, self._scene
        centre = scene.drive.pose(t_s)[:2, 3]
        movers = meshes_near(scene.movers, t_s, (float(centre[0]), float(centre[1])), _MOVERS_M)
        self._tracer.set_movers(movers)
        self._sky_map.set_movers(movers)
        if self._weather.night:
            self._lamps = packed(_lamps_near(scene, t_s, centre))

    def radiance(
        self, camera: CameraModel, pose: NDArray[np.float64], *, samples: int | None = None
    ) -> NDArray[np.float32]:
        """Render linear light (H, W, 3) as a camera receives it.

        Args:
            camera: intrinsics.
            pose: (4, 4), optical frame to street.
            samples: rays per pixel where outlines run: 1, 2 (centre and corners) or 4; the renderer's own number if
                left out. Images that an event camera compares must be made with the same number.
        """
        samples = self._samples if samples is None else samples
        width, origin = float(1.0 / camera.k[0, 0]), pose[:3, 3]
        directions, hits = self._look(camera_rays(camera), pose)
        rays = _rays(origin, directions, hits, width)
        lit = self._sunlit(rays)
        flat = self._shaded(rays, lit)
        if samples > 1:
            rgb, columns = self._tracer.rgb, camera.width
            edges = find_edges(hits.face, hits.distance, hits.normal, lit, rgb, columns)
            smooth = self._smooth_by_corners if samples == 2 else self._smooth_by_places
            smooth(flat, edges, camera, pose)
        image = flat.reshape(camera.height, camera.width, 3)
        if self._rain is not None and self._t_s is not None:
            self._rain.draw(image, hits.distance, camera, pose, self._t_s, self._moved_since(SHUTTER_S))
        return image

    def _smooth_by_places(
        self, flat: NDArray[np.float32], edges: NDArray[np.bool_], camera: CameraModel, pose: NDArray[np.float64]
    ) -> None:
        """Replace pixels (H * W,) by the mean of four rays each."""
        index = np.flatnonzero(edges)
        rays = np.concatenate([camera_rays(camera, offset)[index] for offset in _OFFSETS])
        parts = self._seen(turned(rays, pose), camera, pose).reshape(len(_OFFSETS), len(index), 3)
        flat[index] = np.mean(parts, 0, dtype=np.float32)

    def _smooth_by_corners(
        self, flat: NDArray[np.float32], edges: NDArray[np.bool_], camera: CameraModel, pose: NDArray[np.float64]
    ) -> None:
        """Blend pixels (H * W,) half and half with the mean of rays through their corners, which neighbours share."""
        number = corner_numbers(edges, camera.width)
        corners = replace(camera, width=camera.width + 1, height=camera.height + 1)
        rays = camera_rays(corners, (-0.5, -0.5))[number >= 0]
        blend_corners(flat, edges, camera.width, number, self._seen(turned(rays, pose), camera, pose))

    def _seen(
        self, directions: NDArray[np.float32], camera: CameraModel, pose: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Give the radiance (N, 3) of a camera's rays."""
        hits = self._tracer.nearest(pose[:3, 3], directions)
        rays = _rays(pose[:3, 3], directions, hits, float(1.0 / camera.k[0, 0]))
        return self._shaded(rays, self._sunlit(rays))

    def _moved_since(self, span_s: float) -> NDArray[np.float64]:
        """Where the vehicle was a moment ago, (3,) metres from where it is now."""
        t_s, drive = self._t_s or 0.0, self._scene.drive
        return np.asarray(drive.pose(t_s - span_s)[:3, 3] - drive.pose(t_s)[:3, 3])

    def _look(self, rays: NDArray[np.float32], pose: NDArray[np.float64]) -> tuple[NDArray[np.float32], Hits]:
        """Trace rays (N, 3) of a sensor, or take what the same look met last: directions in the street, and hits."""
        last = self._last_look
        if last is None or last[0] is not rays or last[1] != self._t_s or not np.array_equal(last[2], pose):
            directions = turned(rays, pose)
            last = rays, self._t_s, pose.copy(), directions, self._tracer.nearest(pose[:3, 3], directions)
            if not rays.flags.writeable:
                self._last_look = last
        return last[3], last[4]

    def _shaded(self, rays: Rays, lit: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Give the radiance (N, 3) of rays that were traced, with what water on the ground mirrors."""
        mirror = np.full(rays.origins.shape, _NO_MIRROR, np.float32)
        index, towards = np.empty(len(mirror), np.int64), np.empty_like(mirror)
        count = mirror_rays(rays, self._tracer.surface, self._light.wetness, index, towards)
        if count:
            index, towards = index[:count], towards[:count]
            starts = leave(rays, index)
            mirrored = _rays(starts, towards, self._tracer.nearest(starts, towards), 2.0 * rays.width)
            mirror[index] = self._radiance(mirrored, self._sunlit(mirrored), np.full_like(starts, _NO_MIRROR))
        return self._radiance(rays, lit, mirror)

    def _radiance(self, rays: Rays, lit: NDArray[np.bool_], mirror: NDArray[np.float32]) -> NDArray[np.float32]:
        tracer = self._tracer
        out = np.empty(rays.origins.shape, np.float32)
        around = Surroundings(self._light, self._sky_map.heights, self._lamps, GLOSS)
        shade(rays, Faces(tracer.rgb, tracer.surface, tracer.label), lit, mirror, around, out)
        return out

    def _sunlit(self, rays: Rays) -> NDArray[np.bool_]:
        """Tell which rays (N,) end where the sun shines."""
        lit = np.zeros(len(rays.face), np.bool_)
        if self._weather.shadows:
            towards = sunward(rays, self._weather.sun)
            lit[towards] = ~self._tracer.blocked(leave(rays, towards), self._weather.sun)
        return lit

    def truth(self, camera: CameraModel, pose: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Measure depth along the optical axis and class (H, W) exactly at pixel centres."""
        rays = camera_rays(camera)
        _, hits = self._look(rays, pose)
        seen = hits.face >= 0
        depth = np.where(seen, hits.distance * rays[:, 2], np.float32(np.nan))
        labels = np.where(seen, self._tracer.label[hits.face], np.uint8(Label.SKY))
        return depth.reshape(camera.height, camera.width), labels.reshape(camera.height, camera.width)

    def frame(self, camera: CameraModel, pose: NDArray[np.float64]) -> Frame:
        """Render everything that a camera at pose (optical frame to street) could measure."""
        return Frame(self.radiance(camera, pose), *self.truth(camera, pose))

    def cast(self, pose: NDArray[np.float64], rays: NDArray[np.float32]) -> Cast:
        """Send rays (N, 3) of a sensor's frame from its pose (sensor to street, (4, 4))."""
        tracer = self._tracer
        directions, hits = self._look(rays, pose)
        facing = np.abs(np.einsum("ij,ij->i", hits.normal, directions))
        return Cast(hits.distance, tracer.label[hits.face], tracer.surface[hits.face], tracer.rgb[hits.face], facing)


def _rays(origin: NDArray[np.floating], directions: NDArray[np.float32], hits: Hits, width: float) -> Rays:
    """Put rays from one origin (3,) or one each (N, 3) together with what they met."""
    origins = np.ascontiguousarray(np.broadcast_to(np.asarray(origin, np.float32), directions.shape))
    return Rays(origins, directions, hits.distance, hits.face, hits.normal, width)


def _lamps_near(scene: Scene, t_s: float, centre: NDArray[np.float64]) -> list[Lamp]:
    """All lamps that could light what is near."""
    lamps = [*scene.lamps, *scene.drive.lamps_at(t_s)]
    for mover in scene.movers:
        lamps += mover.lamps_at(t_s)
    return [lamp for lamp in lamps if np.hypot(*(np.asarray(lamp.position)[:2] - centre)) < _LAMPS_M]
