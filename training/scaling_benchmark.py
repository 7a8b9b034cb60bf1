# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How cost grows: with the number of modalities, the image's size, the points of a scan, the events of a window."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from baselines import WINDOW_NS
from bench_inputs import burst, cloud, view_of
from bench_measure import summary, timed

from any2seg_core.config import ModelConfig
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.inference import label_pixels
from any2seg_core.model.segmentor import build_model
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tqdm import tqdm


@dataclass(frozen=True)
class Line:
    """One thing that grows.

    Attributes:
        name: what is done.
        axis: what grows, with its unit.
        work: for each size, what to time.
    """

    name: str
    axis: str
    work: dict[float, Callable[[], Any]]


def scaling_benchmark(bar: tqdm[Any], *, quick: bool) -> Iterator[dict[str, Any]]:
    """Time all sizes of each line in turn, and fit a straight line to the medians of CPU time."""
    rounds = 1 if quick else 7
    for line in lines(quick=quick):
        for work in line.work.values():
            work()
        spent: dict[float, list[tuple[float, float]]] = {size: [] for size in line.work}
        for _ in range(rounds):
            for size, work in line.work.items():
                spent[size].append(timed(work))
            bar.update()
        times = {size: np.array(rows).T for size, rows in spent.items()}
        yield {
            "case": f"scaling: {line.name}",
            "axis": line.axis,
            "sizes": list(times),
            "wall_ms": [summary(list(both[0])) for both in times.values()],
            "cpu_ms": [summary(list(both[1])) for both in times.values()],
            "line": straight(list(times), [float(np.median(both[1])) for both in times.values()]),
        }


def straight(sizes: list[float], times_ms: list[float]) -> dict[str, float]:
    """Fit offset and slope, and tell how much of the variance they explain and the largest relative miss."""
    slope, offset = np.polyfit(sizes, times_ms, 1)
    fitted, found = slope * np.array(sizes) + offset, np.array(times_ms)
    scatter = float(np.sum((found - found.mean()) ** 2))
    return {
        "offset_ms": float(offset),
        "slope_ms": float(slope),
        "r2": 1 - float(np.sum((found - fitted) ** 2)) / scatter if scatter else 1.0,
        "largest_miss": float(np.max(np.abs(found - fitted) / found)),
    }


def lines(*, quick: bool) -> Iterator[Line]:
    """All that grows."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(fusion_level="stages"), len(DELIVER_CLASSES)).eval()
    side = 64 if quick else 512
    counts = (1, 2, 3, 4, 8)
    yield Line(
        f"modalities, all new, mit_b0 {side}x{side}, torch float32",
        "modalities",
        {count: network(model, count, side) for count in counts},
    )
    sides = (32, 64) if quick else (256, 384, 512, 768, 1024)
    yield Line(
        "image, 1 modality, mit_b0, torch float32", "million pixels", {n * n / 1e6: network(model, 1, n) for n in sides}
    )
    points = (1_000, 2_000) if quick else (16_000, 65_000, 130_000, 260_000, 520_000)
    scans, camera = {count: cloud(count) for count in points}, view_of(side)
    yield Line(
        f"LiDAR points to {side}x{side}",
        "points",
        {count: lambda scan=scan: lidar_image(scan, np.eye(4), camera) for count, scan in scans.items()},
    )
    events = (1_000, 2_000) if quick else (125_000, 250_000, 500_000, 1_000_000, 2_000_000)
    windows = {count: burst(count, 640, 480) for count in events}
    for kind in ("histogram", "voxel"):
        draw = functools.partial(event_stack, representation=kind, start_ns=0, end_ns=WINDOW_NS)
        yield Line(
            f"events to {kind}, 640x480",
            "events",
            {count: functools.partial(draw, window) for count, window in windows.items()},
        )


def network(model: Any, modalities: int, side: int) -> Callable[[], Any]:
    """Encode so many images one by one, fuse them and label all pixels."""
    pixels = torch.rand(modalities, 3, side, side, generator=torch.Generator().manual_seed(0))
    present = torch.ones(1, modalities, dtype=torch.bool)
    slots = torch.zeros(1, dtype=torch.int64)

    def run() -> Any:
        with torch.inference_mode():
            maps = [model.encode(row[None], slots) for row in pixels]
            features = tuple(torch.cat(level) for level in zip(*maps, strict=True))
            return label_pixels(model.fuse_and_decode(features, present).logits, (side, side))

    return run
