# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Time each step against its plain counterpart, check that both agree, and write out/bench.json.

Run: python training/benchmark.py --out out/bench.json [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from baselines import (
    WINDOW_NS,
    PlainAny2Seg,
    numpy_histogram,
    numpy_lidar,
    numpy_picture,
    numpy_voxel,
    torch_labels,
    torch_labels_alone,
)
from simulator_benchmark import simulator_benchmark
from tqdm import tqdm

from any2seg_core.batch import Batch
from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.evaluator import evaluate
from any2seg_core.frames import DELIVER_CLASSES, CameraModel, Events, FrameSet, Modality, Points, SensorFrame
from any2seg_core.inference import Segmenter, label_pixels
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_core.model.pretrained import load_transformers_head, load_transformers_weights
from any2seg_core.model.segmentor import build_model
from any2seg_core.preprocess import Preprocessor
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

METHOD: Final = (
    "Made-up inputs, random weights. Every way of a case runs once unmeasured (compilation, caches), then all ways in "
    "turn, round after round. Wall and process CPU milliseconds (all threads) per call: median, min, max over rounds. "
    "Speedup: median wall of the first way over that of this one. Before timing, the answers are compared: agreement "
    "is the smallest share of values that are equal (to 1e-5), zeros in both left out."
)
AGREEMENT: Final = 0.995
"""Least share of equal answers. Rounding moves some points to the next cell and decides ties between classes."""


@dataclass(frozen=True)
class Scale:
    """How large the inputs are."""

    rounds: int
    points: int
    events: int
    image_px: int
    label_px: tuple[int, ...]
    model_px: int
    streets: int
    street_px: int


FULL: Final = Scale(
    rounds=15,
    points=130_000,
    events=1_000_000,
    image_px=1024,
    label_px=(512, 1024),
    model_px=512,
    streets=5,
    street_px=512,
)
QUICK: Final = Scale(
    rounds=2, points=2_000, events=5_000, image_px=64, label_px=(32, 64), model_px=64, streets=1, street_px=64
)


@dataclass(frozen=True)
class Case:
    """Several ways to one answer.

    Attributes:
        name: group and what is done.
        ways: the plain ones first, any2seg last; each is given the number of the round.
        same: share of equal values in two answers, in [0, 1].
        lesser: ways that do only part of the work, as a measure of it; their answers are not compared.
    """

    name: str
    ways: dict[str, Callable[[int], Any]]
    same: Callable[[Any, Any], float]
    lesser: tuple[str, ...] = ()


def view_of(side: int) -> CameraModel:
    """Give a square camera of 90 degrees."""
    return CameraModel(side, side, np.array([[side / 2, 0, side / 2], [0, side / 2, side / 2], [0, 0, 1]]))


def cloud(count: int, seed: int = 0) -> Points:
    """Sweep 64 rings over a little more than what the camera sees, ring by ring as drivers give them."""
    random = np.random.default_rng(seed)
    ring, step = np.divmod(np.arange(count), max(count // 64, 1))
    right, down = np.tan(np.linspace(-0.83, 0.83, count // 64 + 1)[step]), np.linspace(-0.9, 0.9, ring.max() + 1)[ring]
    z = 20 + 15 * np.sin(3 * right) + random.normal(0, 0.1, count)
    xyz = np.stack([right * z, down * z, z], 1)
    return Points(xyz.astype(np.float32), random.uniform(0, 255, count).astype(np.float32))


def burst(count: int, width: int, height: int, seed: int = 0) -> Events:
    """Make events that fill one window."""
    random = np.random.default_rng(seed)
    x, y = random.integers(0, width, count), random.integers(0, height, count)
    t_ns = np.sort(random.integers(1, WINDOW_NS + 1, count))
    return Events(
        x.astype(np.uint16), y.astype(np.uint16), random.integers(0, 2, count, dtype=np.uint8), t_ns, width, height
    )


def drawn_alike(one: Any, other: Any) -> float:
    """Share of values that are equal, of those that are not zero in both."""
    one, other = np.asarray(one), np.asarray(other)
    drawn = (one != 0) | (other != 0)
    return float(np.isclose(one[drawn], other[drawn], atol=1e-5).mean()) if drawn.any() else 1.0


def prepare_cases(scale: Scale) -> Iterator[Case]:
    """Sensor data to model input."""
    side = scale.image_px
    points, camera, to_view = cloud(scale.points), view_of(side), np.eye(4)
    yield Case(
        f"prepare: LiDAR, {scale.points} points to {side}x{side}",
        {
            "numpy, np.minimum.at": lambda _: numpy_lidar(points, to_view, camera),
            "any2seg": lambda _: lidar_image(points, to_view, camera),
        },
        drawn_alike,
    )
    events = burst(scale.events, 640, 480)
    for name, plain in {"voxel": numpy_voxel, "histogram": numpy_histogram}.items():
        yield Case(
            f"prepare: events, {scale.events} to {name} 640x480",
            {
                "numpy, np.add.at": lambda _, plain=plain: plain(events),
                "any2seg": lambda _, name=name: event_stack(events, representation=name, start_ns=0, end_ns=WINDOW_NS),
            },
            drawn_alike,
        )
    config = PreprocessConfig(short_side_px=side)
    picture = SensorFrame(Modality.RGB, 0, "", np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
    preprocessor = Preprocessor(config, [Modality.RGB])
    yield Case(
        f"prepare: picture {side}x{side}",
        {
            "numpy, double precision": lambda _: numpy_picture(picture.data, config),
            "any2seg": lambda _: preprocessor.prepare(picture, (side, side)),
        },
        drawn_alike,
    )


def label_cases(scale: Scale) -> Iterator[Case]:
    """Logits at stride 4 to labels and confidence."""
    for side in scale.label_px:
        logits = torch.randn(1, side // 4, side // 4, 25, generator=torch.Generator().manual_seed(0)) * 3
        logits, size = logits.permute(0, 3, 1, 2), (side, side)  # in memory as the head leaves them
        yield Case(
            f"label_output: 25 classes, {side}x{side}",
            {
                "torch, labels and confidence": lambda _, logits=logits, size=size: torch_labels(logits, size),
                "torch, labels alone": lambda _, logits=logits, size=size: (torch_labels_alone(logits, size),),
                "any2seg": lambda _, logits=logits, size=size: label_pixels(logits, size),
            },
            lambda plain, ours: min(map(drawn_alike, plain, ours)),
        )


def segment_case(scale: Scale) -> Iterator[Case]:
    """Four frames to labels, preparation included; and the same when one of four frames is new."""
    side = scale.model_px
    torch.manual_seed(0)
    naive = PlainAny2Seg(len(DELIVER_CLASSES)).eval()
    model_config = ModelConfig(fusion_level="stages")
    model = build_model(model_config, len(DELIVER_CLASSES))
    load_transformers_weights(model.encoder, naive.donor.state_dict())
    load_transformers_head(model.head, naive.donor.state_dict())
    info = CheckpointInfo("bench", model_config, PreprocessConfig(short_side_px=side), DELIVER_CLASSES)
    plain, cached = (Segmenter(model, info, device="cpu", cache=cache) for cache in (False, True))
    preprocessor = Preprocessor(info.preprocess, plain.modalities)
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3), np.uint8) for _ in range(2)]
    slow = {
        Modality.DEPTH: random.uniform(1, 60, (side, side)).astype(np.float32),
        Modality.EVENT: burst(scale.events // 5, side, side),
        Modality.LIDAR: cloud(scale.points // 2),
    }
    still = {modality: SensorFrame(modality, WINDOW_NS, "", data, to_view=np.eye(4)) for modality, data in slow.items()}

    def frame_set(index: int) -> FrameSet:
        rgb = SensorFrame(Modality.RGB, WINDOW_NS + index, "", pictures[index % 2])
        others = {modality: replace(frame) for modality, frame in still.items()}
        return FrameSet(Modality.RGB, {Modality.RGB: rgb, **others}, view=view_of(side))

    def by_transformers(index: int) -> NDArray[np.uint8]:
        stack = preprocessor(frame_set(index))
        with torch.inference_mode():
            return naive(stack.pixels, stack.output_size).numpy()

    yield Case(
        f"segment: mit_b0, 4 sensors, {side}x{side}, float32",
        {
            "transformers, put together plainly": by_transformers,
            "any2seg": lambda index: plain.segment(frame_set(index)).labels,
            "any2seg, 1 of 4 frames new": lambda index: cached.segment(frame_set(index)).labels,
        },
        drawn_alike,
    )


def evaluate_case(scale: Scale) -> Iterator[Case]:
    """The table of all 15 subsets of one image, labels compared with targets of full size."""
    side, classes = scale.model_px, DELIVER_CLASSES
    torch.manual_seed(0)
    model = build_model(ModelConfig(), len(classes)).eval()
    generator = torch.Generator().manual_seed(0)
    batch = Batch(
        torch.rand(1, 4, 3, side, side, generator=generator),
        torch.ones(1, 4, dtype=torch.bool),
        torch.randint(0, len(classes), (1, side, side), generator=generator),
        ("sample",),
        ("sun",),
        ("",),
    )

    def least(_: int) -> None:
        """Four passes of one modality each, and 15 decodes, all to labels."""
        with torch.inference_mode():
            for slot in range(4):
                alone = torch.arange(4)[None] == slot
                prediction = model(batch.pixels, alone)
                label_pixels(prediction.logits, (side, side))
            maps = tuple(fusion.feature for fusion in prediction.fusions)
            for _subset in range(15):
                label_pixels(model.decode(maps), (side, side))

    yield Case(
        f"evaluate: mit_b0, all 15 subsets of 4 sensors, one image {side}x{side}",
        {
            "the whole model for each subset": lambda _: evaluate(model, [batch], classes, share=False),
            "4 passes of one sensor, 15 decodes": least,
            "any2seg": lambda _: evaluate(model, [batch], classes),
        },
        lambda plain, ours: float(plain.to_json() == ours.to_json()),
        lesser=("4 passes of one sensor, 15 decodes",),
    )


def measure(case: Case, rounds: int, bar: tqdm[Any]) -> dict[str, Any]:
    """Compare the answers, then time all ways of a case in turn."""
    answers = {name: way(0) for name, way in case.ways.items()}
    whole = [answer for name, answer in answers.items() if name not in case.lesser]
    agreement = min(case.same(answer, answers["any2seg"]) for answer in whole)
    if not agreement >= AGREEMENT:
        msg = f"{case.name}: the answers agree on {agreement:.4f} of the values, expected {AGREEMENT}; nothing is timed"
        raise SystemExit(msg)
    wall: dict[str, list[float]] = {name: [] for name in case.ways}
    cpu: dict[str, list[float]] = {name: [] for name in case.ways}
    for index in range(1, rounds + 1):
        for name, way in case.ways.items():
            start, busy = time.perf_counter(), time.process_time()
            way(index)
            wall[name].append(1e3 * (time.perf_counter() - start))
            cpu[name].append(1e3 * (time.process_time() - busy))
        bar.update()
    ways = {name: {"wall_ms": summary(wall[name]), "cpu_ms": summary(cpu[name])} for name in case.ways}
    first = next(iter(ways.values()))["wall_ms"]["median"]
    speedup = {name: first / way["wall_ms"]["median"] for name, way in ways.items()}
    return {"case": case.name, "agreement": agreement, "ways": ways, "speedup": speedup}


def summary(values: list[float]) -> dict[str, float]:
    """Median, min and max."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """Describe what the figures were taken on."""
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text(encoding="utf-8").splitlines() if cpu_info.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "numba", "transformers")},
        "utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def show(results: list[dict[str, Any]]) -> None:
    """Print a short table."""
    for result in results:
        print(f"{result['case']}  (answers agree on {result['agreement']:.4%})")
        for name, way in result["ways"].items():
            wall = way["wall_ms"]
            print(f"  {name:36}{wall['median']:10.2f} ms  ({wall['min']:.2f} to {wall['max']:.2f})", end="")
            print(f"{result['speedup'][name]:8.2f}x")


def main() -> None:
    """Run all cases and write the report."""
    parser = argparse.ArgumentParser(description="Time each step of any2seg against its plain counterpart.")
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"), help="report to write")
    parser.add_argument("--quick", action="store_true", help="tiny inputs: checks that it runs, the times mean nothing")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    before = machine()
    cases = [*prepare_cases(scale), *label_cases(scale), *segment_case(scale), *evaluate_case(scale)]
    with tqdm(total=len(cases) * scale.rounds, desc="benchmark", unit="round") as bar:
        results = [measure(case, scale.rounds, bar) for case in cases]
    results.append(simulator_benchmark(scale.streets, side=scale.street_px))
    report = {"method": METHOD, "rounds": scale.rounds, "quick": arguments.quick, "machine": before, "results": results}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = arguments.out.with_name(arguments.out.name + ".part")
    unfinished.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(arguments.out)
    show(results)
    print(f"Written to {arguments.out}")


if __name__ == "__main__":
    main()
