# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Cases of single steps: sensor data to model input, logits to labels, the table of all subsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from baselines import (
    WINDOW_NS,
    numpy_histogram,
    numpy_lidar,
    numpy_picture,
    numpy_voxel,
    torch_labels,
    torch_labels_alone,
)
from bench_inputs import burst, cloud, view_of
from bench_measure import Case, drawn_alike

from any2seg_core.batch import Batch
from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.evaluator import evaluate
from any2seg_core.frames import DELIVER_CLASSES, Modality, SensorFrame
from any2seg_core.inference import label_pixels
from any2seg_core.model.segmentor import build_model
from any2seg_core.preprocess import Preprocessor
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Scale:
    """How large the inputs of the steps are."""

    points: int
    events: int
    image_px: int
    label_px: tuple[int, ...]
    model_px: int


FULL: Final = Scale(points=130_000, events=1_000_000, image_px=1024, label_px=(512, 1024), model_px=512)
QUICK: Final = Scale(points=2_000, events=5_000, image_px=64, label_px=(32, 64), model_px=64)


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
