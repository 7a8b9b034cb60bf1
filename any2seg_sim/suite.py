# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""All sensors of a vehicle on its drive: what each measures at a time.

A measurement depends on the settings and its time alone, so it can be made anywhere and in any order. Only the event
camera has a memory: it is fed a film, whose images are such measurements.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.frames import Events, Modality, SensorFrame
from any2seg_sim.readings import Reading
from any2seg_sim.renderer import Renderer, camera_rays
from any2seg_sim.rig import Rig, rotation_about
from any2seg_sim.scene import Scene, build_scene
from any2seg_sim.sensors import camera, depth, lidar
from any2seg_sim.sensors.depth import DepthModel, DepthView
from any2seg_sim.sensors.events import EventCamera, EventModel
from any2seg_sim.sensors.lidar import LidarModel
from any2seg_sim.weather import WEATHERS, Weather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import FrameData
    from any2seg_sim.settings import DriveSettings

_SCENE, _CAMERA, _DEPTH, _LIDAR, _PIXELS, _EVENTS, _WEATHER, _JITTER = range(8)
"""Streams of chance: what is drawn for one purpose changes nothing drawn for another."""
_BLUR_S: Final = 0.08
"""Exposure time of a camera that fails by motion blur."""
_BLUR_STEP_S: Final = 0.008
_LIGHT_FACTOR: Final = {"overexposure": 4.0, "underexposure": 0.06}
"""Factor on the light of a camera that fails by wrong exposure."""
_JITTER_RAD: Final = math.radians(1.0)
_JITTER_M: Final = 0.02
"""Deviation, from sweep to sweep, of the pose of a LiDAR that came loose."""


def scene_of(settings: DriveSettings) -> Scene:
    """Build the scene that a drive goes through, or take the one that the last such drive went through."""
    return _scene(settings.seed, settings.images / settings.rate_hz, settings.speed_mps)


@functools.lru_cache(maxsize=1)
def _scene(seed: int, duration_s: float, speed_mps: float) -> Scene:
    return build_scene(np.random.default_rng([seed, _SCENE]), duration_s=duration_s, speed_mps=speed_mps)


def weather_of(settings: DriveSettings) -> Weather:
    """Draw the weather of a drive; the street is the same under all of them."""
    rng = np.random.default_rng([settings.seed, _WEATHER, WEATHERS.index(settings.weather)])
    return Weather.drawn(settings.weather, rng)


def event_camera(settings: DriveSettings, start_ns: int, *, running: bool) -> EventCamera:
    """Switch the event camera of a drive on, or come to it while it is running."""
    pixels = np.random.default_rng([settings.seed, _PIXELS])
    noise = _chance(settings, _EVENTS, start_ns)
    return EventCamera(EventModel.of(settings), pixels=pixels, noise=noise, running=running)


def _chance(settings: DriveSettings, stream: int, stamp_ns: int) -> np.random.Generator:
    """Source of chance of a sensor at a time."""
    return np.random.default_rng([settings.seed, stream, stamp_ns - settings.start_ns])


class Stamps:
    """How the sensors of a drive name and stamp what they measure."""

    def __init__(self, settings: DriveSettings, rig: Rig) -> None:
        self._frame_ids = rig.frame_ids
        self._ahead_s = {
            Modality.RGB: settings.camera_offset_s,
            Modality.DEPTH: settings.depth_offset_s,
            Modality.EVENT: settings.event_offset_s,
            Modality.LIDAR: settings.lidar_offset_s,
        }

    def reading(self, modality: Modality, data: FrameData, stamp_ns: int, end_ns: int = -1, **known: Any) -> Reading:
        """Describe a measurement that began and ended at true times; known is what else Reading holds."""
        frame = SensorFrame(modality, stamp_ns, self._frame_ids[modality], data, end_ns)
        return Reading(frame, **known).stamped(round(self._ahead_s[modality] * 1e9))

    def events(self, seen: Events, stamp_ns: int) -> Reading:
        """Describe events that ended at a true time; the stamp is the first event's time, as drivers do it."""
        first_ns = int(seen.t_ns[0]) if len(seen) else stamp_ns
        return self.reading(Modality.EVENT, seen, first_ns, stamp_ns)


class SensorSuite:
    """Sensors on their rig, on one drive, in one weather.

    Attributes:
        settings: the drive.
        rig: calibration.
        scene: where the drive goes.
        weather: light and air.
        renderer: shows the scene; the suite sets its time.
        stamps: names and stamps what is measured.
    """

    def __init__(self, settings: DriveSettings) -> None:
        self.settings, self.rig = settings, Rig.of(settings)
        self.scene, self.weather = scene_of(settings), weather_of(settings)
        self.renderer = Renderer(self.scene, weather=self.weather, samples=settings.samples, seed=settings.seed)
        # Sensors that share a lens share one object, so that their light is rendered once.
        lenses = Rig.of(replace(settings, failure="")).cameras
        self._views = {name: lenses[Modality.RGB] if self.rig.aligned else lens for name, lens in lenses.items()}
        self._rays = {name: camera_rays(lens) for name, lens in self._views.items() if name is Modality.DEPTH}
        self._lidar, self._depth = LidarModel.of(settings), DepthModel.of(settings)
        self._light: tuple[object, NDArray[np.float32]] = (None, np.zeros((0, 0, 3), np.float32))
        self.stamps = Stamps(settings, self.rig)
        failing = settings.failure == "motionblur"
        self._exposure_s = max(settings.exposure_s, _BLUR_S) if failing else settings.exposure_s

    def pose(self, modality: Modality, t_s: float) -> NDArray[np.float64]:
        """Pose of a sensor's frame in the street, (4, 4), at a time."""
        return np.asarray(self.scene.drive.pose(t_s) @ self.rig.poses[modality])

    def film(self, stamp_ns: int) -> NDArray[np.float32]:
        """Brightness (H, W) that the event camera sees at a time."""
        # One ray per pixel: sub-frames are what a sample costs, and events come from what moves, not from fine edges.
        seen = camera.luminance(self._radiance(Modality.EVENT, self.settings.seconds(stamp_ns), samples=1))
        size = self.rig.cameras[Modality.EVENT]
        if seen.shape == (size.height, size.width):
            return seen
        # A coarse pixel gathers the light of the fine ones that it covers.
        return np.asarray(cv2.resize(seen, (size.width, size.height), interpolation=cv2.INTER_AREA), np.float32)

    def image(self, stamp_ns: int) -> Reading:
        """Take a camera image; the middle of its exposure is the stamp, and so is the moment of its exact classes."""
        t_s, half = self.settings.seconds(stamp_ns), self._exposure_s / 2
        count = math.ceil(self._exposure_s / _BLUR_STEP_S) + 1 if half else 1
        light = np.zeros((), np.float32)
        for instant in np.linspace(t_s - half, t_s + half, count):
            light = light + self._radiance(Modality.RGB, max(float(instant), 0.0)) / np.float32(count)
        self.renderer.set_time(t_s)
        exact, labels = self.renderer.truth(self._views[Modality.RGB], self.pose(Modality.RGB, t_s))
        noise = self._chance(_CAMERA, stamp_ns) if self.settings.noise else None
        factor = _LIGHT_FACTOR.get(self.settings.failure, 1.0)
        pixels = camera.expose(light, exposure=factor * self.weather.exposure, gain=self.weather.gain, noise=noise)
        return self.stamps.reading(
            Modality.RGB, pixels, stamp_ns, stamp_ns + round(half * 1e9), labels=labels, exact=exact
        )

    def depth(self, stamp_ns: int) -> Reading:
        """Take a depth image."""
        t_s, view = self.settings.seconds(stamp_ns), self._views[Modality.DEPTH]
        pose = self.pose(Modality.DEPTH, t_s)
        self.renderer.set_time(t_s)
        exact, _ = self.renderer.truth(view, pose)
        if not self.settings.noise:
            return self.stamps.reading(Modality.DEPTH, depth.in_range(exact, self._depth), stamp_ns, exact=exact)
        light = camera.luminance(self._radiance(Modality.DEPTH, t_s))
        cast = self.renderer.cast(pose, self._rays[Modality.DEPTH])
        echo = (camera.luminance(cast.rgb) * cast.facing).reshape(exact.shape)
        surface, picture = cast.surface.reshape(exact.shape), light * np.float32(self.weather.exposure)
        before = DepthView(exact, picture, light, surface, echo, view.k[0, 0])
        measured = depth.measure(before, self._depth, self._chance(_DEPTH, stamp_ns))
        return self.stamps.reading(Modality.DEPTH, measured, stamp_ns, exact=exact)

    def sweep(self, end_ns: int) -> Reading:
        """Take the LiDAR sweep that ends at a stamp; its own stamp is its beginning."""
        shaken = self._shaken(end_ns)
        noise = self._chance(_LIDAR, end_ns) if self.settings.noise else None
        found = lidar.sweep(
            self.renderer,
            lambda t_s: self.pose(Modality.LIDAR, t_s) @ shaken,
            self.settings.seconds(end_ns),
            self._lidar,
            weather=self.weather,
            noise=noise,
        )
        begin_ns = end_ns - round(self._lidar.period_s * 1e9)
        known = {"labels": found.labels, "rings": found.rings, "times_ns": found.after_ns}
        return self.stamps.reading(Modality.LIDAR, found.points, begin_ns, end_ns, **known)

    def _shaken(self, end_ns: int) -> NDArray[np.float64]:
        """How far a loose LiDAR is from where it should be, (4, 4)."""
        shaken = np.eye(4)
        if self.settings.failure == "lidarjitter":
            rng = self._chance(_JITTER, end_ns)
            for axis in range(3):
                shaken[:3, :3] = shaken[:3, :3] @ rotation_about(axis, float(rng.normal(0.0, _JITTER_RAD)))
            shaken[:3, 3] = rng.normal(0.0, _JITTER_M, 3)
        return shaken

    def _radiance(self, modality: Modality, t_s: float, samples: int | None = None) -> NDArray[np.float32]:
        """Light (H, W, 3) that reaches a sensor; the last one is kept for sensors that share a lens."""
        view = self._views[modality]
        if self._light[0] != (view, t_s, samples):
            self.renderer.set_time(t_s)
            light = self.renderer.radiance(view, self.pose(modality, t_s), samples=samples)
            self._light = (view, t_s, samples), light
        return self._light[1]

    def _chance(self, stream: int, stamp_ns: int) -> np.random.Generator:
        return _chance(self.settings, stream, stamp_ns)
