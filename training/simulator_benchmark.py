# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Times a sample of all four sensors, as any2seg_sim renders it and as plain numpy code around the same ray tracer.

The plain way is what one writes first: everything in one scene that is built anew for every sub-frame, a shadow ray
for every pixel, and shading, events and LiDAR in array code. It shows less than any2seg_sim does: no occlusion, no
smoothed outlines, no windows, no mirrors, no rain.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from bench_measure import summary, timed
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from any2seg_core.frames import Modality
from any2seg_sim.materials import LIDAR_ECHO, LIDAR_RETURNS, Label, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_moments
from any2seg_sim.suite import SensorSuite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.simulation import Moment

METHOD: Final = (
    "One street, one moment after another, all ways in turn in one process. A sample is a camera image, depth, "
    "classes, a window of events over 6 sub-frames and a LiDAR sweep. Building the street is left out of all; what "
    "any2seg_sim builds once per street is spread over 10 samples. Wall and process CPU milliseconds: median, min, "
    "max; the speedup in CPU time is the throughput per core."
)
PLAIN: Final = "plain numpy, 1 ray per pixel"
OURS: Final = {"any2seg": 1, "any2seg, smooth outlines": 2}
"""Ways to render, and their numbers of rays."""
AGREEMENT: Final = 0.995
"""Least share of pixels with the same class in both ways' label images."""
SAMPLES_PER_STREET: Final = 10
_FIRST_S, _STEP_S = 0.5, 0.2
_RINGS, _COLUMNS = 64, 1024
_LOG_FLOOR: Final = 0.01
_ROUGH: Final = {Surface.ASPHALT: (2.5, 14.0), Surface.PAVING: (1.3, 8.0), Surface.GRASS: (0.5, 5.0)}


class PlainSimulator:
    """What one writes first."""

    def __init__(self, settings: DriveSettings) -> None:
        self._settings = settings
        self._suite = SensorSuite(settings)

    def sample(self, t_s: float) -> dict[str, Any]:
        """Render everything at a time."""
        window_s, parts = self._settings.event_window_s, self._settings.subframes
        film = [self._look(t_s - window_s * (1 - part / parts)) for part in range(parts + 1)]
        last = film[-1]
        brightness = [np.log(frame["light"] @ [0.2126, 0.7152, 0.0722] + _LOG_FLOOR) for frame in film]
        return {
            "rgb": plain_exposure(last["light"]),
            "depth": last["depth"]
            + np.random.default_rng(0).normal(size=last["depth"].shape) * 3e-4 * last["depth"] ** 2,
            "labels": last["labels"],
            "events": plain_events(brightness, self._settings.event_threshold),
            "lidar": self._sweep(t_s, last["mesh"], last["embree"]),
        }

    def _scene(self, t_s: float) -> tuple[Mesh, EmbreeScene]:
        """Build everything anew."""
        scene = self._suite.scene
        mesh = Mesh.merged([scene.still, *(mover.posed(t_s) for mover in scene.movers)])
        embree = EmbreeScene()
        TriangleMesh(embree, mesh.vertices, mesh.faces)
        return mesh, embree

    def _look(self, t_s: float) -> dict[str, Any]:
        camera, weather = self._suite.rig.camera, self._suite.weather
        mesh, embree = self._scene(t_s)
        pose = self._suite.pose(Modality.RGB, t_s)
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        x, y = (u - camera.k[0, 2]) / camera.k[0, 0], (v - camera.k[1, 2]) / camera.k[1, 1]
        rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        directions = rays @ pose[:3, :3].T
        hits = plain_hits(mesh, embree, pose[:3, 3], directions)
        points = pose[:3, 3] + directions * hits["distance"][:, None]
        starts = (points + 0.015 * hits["normal"]).astype(np.float32)
        towards = np.tile(weather.sun, (len(starts), 1))
        dark = embree.run(starts, towards, query="OCCLUDED") != -1
        ground = plain_shading(mesh, hits, points, dark, weather)
        haze = np.exp(-weather.fog_per_m * hits["distance"])[:, None]
        light = np.where(
            hits["seen"][:, None], haze * ground + (1 - haze) * weather.air_rgb, plain_sky(directions, weather)
        )
        shape = (camera.height, camera.width)
        depth = np.where(hits["seen"], hits["distance"] * rays[:, 2], np.nan)
        labels = np.where(hits["seen"], mesh.label[hits["face"]], Label.SKY)
        images = {"light": light.reshape(*shape, 3), "depth": depth.reshape(shape), "labels": labels.reshape(shape)}
        return {**images, "mesh": mesh, "embree": embree}

    def _sweep(self, t_s: float, mesh: Mesh, embree: EmbreeScene) -> NDArray[np.float64]:
        pose, rng = self._suite.pose(Modality.LIDAR, t_s), np.random.default_rng(0)
        around, up = np.meshgrid(
            np.linspace(np.pi, -np.pi, _COLUMNS, endpoint=False),
            np.radians(np.linspace(-25, 14, _RINGS)),
            indexing="ij",
        )
        rays = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], -1).reshape(-1, 3)
        directions = rays @ pose[:3, :3].T
        hits = plain_hits(mesh, embree, pose[:3, 3], directions)
        surface, facing = mesh.surface[hits["face"]], np.abs(np.sum(hits["normal"] * directions, 1))
        echo = LIDAR_ECHO[surface] * mesh.rgb[hits["face"]].mean(1) * facing
        heard = hits["seen"] & (hits["distance"] < 100) & (rng.random(len(rays)) < LIDAR_RETURNS[surface])
        distance = hits["distance"] + rng.normal(0, 0.015, len(rays))
        return np.column_stack([rays * distance[:, None], 255 * np.clip(echo, 0, 1), mesh.label[hits["face"]]])[heard]


def plain_hits(
    mesh: Mesh, embree: EmbreeScene, origin: NDArray[np.float64], directions: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Trace rays and interpolate normals."""
    starts = np.tile(origin, (len(directions), 1)).astype(np.float32)
    found = embree.run(starts, directions.astype(np.float32), output=True)
    face, u, v = found["primID"], found["u"][:, None], found["v"][:, None]
    corners = mesh.normals[mesh.faces[face]]
    normal = (1 - u - v) * corners[:, 0] + u * corners[:, 1] + v * corners[:, 2]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    normal = np.where(np.sum(normal * directions, 1, keepdims=True) > 0, -normal, normal)
    seen = face >= 0
    distance = np.where(seen, found["tfar"], 1e6).astype(np.float64)
    return {"seen": seen, "face": face, "distance": distance, "normal": normal}


def plain_noise(points: NDArray[np.float64], frequency: float) -> NDArray[np.float64]:
    """Interpolate random lattice values."""
    scaled = points * frequency
    corner = np.floor(scaled)
    part = scaled - corner
    part = part * part * (3 - 2 * part)
    total = np.zeros(len(points))
    for x, y, z in np.ndindex(2, 2, 2):
        lattice = np.sin((corner + np.array([x, y, z])) @ (12.9898, 78.233, 37.719)) * 43758.5453
        weight = np.prod(np.where((x, y, z), part, 1 - part), axis=1)
        total += weight * (lattice - np.floor(lattice))
    return total


def plain_shading(
    mesh: Mesh, hits: dict[str, NDArray[Any]], points: NDArray[np.float64], dark: NDArray[np.bool_], weather: Any
) -> NDArray[np.float64]:
    """Light surfaces from sun and sky, and roughen the ground."""
    surface = mesh.surface[hits["face"]]
    factor = np.ones(len(points))
    for kind, frequencies in _ROUGH.items():
        chosen = hits["seen"] & (surface == kind)
        for frequency in frequencies:
            factor[chosen] += 0.2 * (plain_noise(points[chosen], frequency) - 0.5)
    direct = np.clip(hits["normal"] @ weather.sun, 0, None) * ~dark
    light = direct[:, None] * weather.sun_rgb + (0.6 + 0.4 * hits["normal"][:, 2:]) * weather.ambient_rgb
    return np.asarray(mesh.rgb[hits["face"]] * factor[:, None] * light)


def plain_sky(directions: NDArray[np.float64], weather: Any) -> NDArray[np.float64]:
    """Mix blue, haze and clouds."""
    high = np.clip(directions[:, 2:], 0, None)
    plane = np.column_stack([directions[:, :2] / (high + 0.18), np.zeros(len(high))])
    cover = 0.6 * plain_noise(plane, 1.1) + 0.28 * plain_noise(plane, 2.7) + 0.12 * plain_noise(plane, 6.0)
    blue = weather.sky.zenith_rgb + np.exp(-4.5 * high) * (weather.sky.horizon_rgb - weather.sky.zenith_rgb)
    share = np.clip((cover[:, None] - 0.5) * 4, 0, 0.9)
    return np.asarray(blue + share * (weather.sky.cloud_rgb - blue))


def plain_exposure(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Add noise and gamma."""
    signal = 0.85 * light
    signal = signal + np.random.default_rng(0).normal(size=signal.shape) * np.sqrt(0.0025**2 + 0.01**2 * signal)
    signal = np.clip(signal, 0, 1)
    return np.asarray(
        np.rint(255 * np.where(signal <= 0.0031308, 12.92 * signal, 1.055 * signal ** (1 / 2.4) - 0.055)), np.uint8
    )


def plain_events(film: list[NDArray[np.float64]], threshold: float) -> NDArray[np.float64]:
    """Find crossings of thresholds, one level at a time: rows of time, row, column and sign."""
    level, found = film[0].copy(), []
    for index, (before, after) in enumerate(itertools.pairwise(film)):
        while True:
            row, column = np.nonzero(np.abs(after - level) >= threshold)
            if not len(row):
                break
            sign = np.sign(after - level)[row, column]
            level[row, column] += sign * threshold
            change = (after - before)[row, column]
            share = np.clip((level - before)[row, column] / np.where(change == 0, 1, change), 0, 1)
            found.append(np.column_stack([index + share, row, column, sign]))
    events = np.concatenate(found) if found else np.zeros((0, 4))
    return events[np.argsort(events[:, 0], kind="stable")]


def simulator_benchmark(repeats: int = 5, *, side: int = 512) -> dict[str, Any]:
    """Time both ways in turn.

    Args:
        repeats: samples that are timed of each.
        side: width and height of the images, pixels.

    Returns:
        case, agreement, ways and speedup as training/benchmark.py reports them; speedup_cpu, the same of CPU time;
        method.

    Raises:
        SystemExit: the label images of the two do not agree.
    """
    times_s = [_FIRST_S + _STEP_S * index for index in range(repeats + 2)]
    settings = DriveSettings(seed=1, duration_s=times_s[-1] + 0.5, width=side, height=side)
    plain = PlainSimulator(settings)
    films = {name: render_moments(replace(settings, samples=samples), times_s) for name, samples in OURS.items()}
    moments = {name: next(iter(render_moments(replace(settings, samples=n), times_s[:1]))) for name, n in OURS.items()}
    frame = plain.sample(times_s[0])
    agreement = min(same_classes(frame, moment) for moment in moments.values())
    if agreement < AGREEMENT:
        msg = f"simulator: labels agree on {agreement:.4f} of the pixels, expected {AGREEMENT}; nothing is timed"
        raise SystemExit(msg)
    first = {name: timed(lambda film=film: next(film)) for name, film in films.items()}
    for film in films.values():
        next(film)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in (PLAIN, *films)}
    for t_s in times_s[2:]:
        spent[PLAIN].append(timed(lambda t_s=t_s: plain.sample(t_s)))
        for name, film in films.items():
            spent[name].append(timed(lambda film=film: next(film)))
    wall_cpu = {name: np.array(rounds).T for name, rounds in spent.items()}
    for name, both in first.items():
        set_up = np.maximum(np.array(both) - np.median(wall_cpu[name], axis=1), 0.0)
        wall_cpu[name] = wall_cpu[name] + set_up[:, None] / SAMPLES_PER_STREET
    speedup = {name: np.median(wall_cpu[PLAIN], axis=1) / np.median(way, axis=1) for name, way in wall_cpu.items()}
    return {
        "case": f"simulate: 4 sensors, {side}x{side}, {settings.subframes + 1} sub-frames, {settings.weather}",
        "agreement": agreement,
        "ways": {
            name: {"wall_ms": summary(way[0].tolist()), "cpu_ms": summary(way[1].tolist())}
            for name, way in wall_cpu.items()
        },
        "speedup": {name: float(ratio[0]) for name, ratio in speedup.items()},
        "speedup_cpu": {name: float(ratio[1]) for name, ratio in speedup.items()},
        "method": METHOD,
    }


def same_classes(plain: dict[str, Any], moment: Moment) -> float:
    """Share of pixels with the same class."""
    return float(np.mean(plain["labels"] == moment.rgb.labels))
