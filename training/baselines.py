# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Plain counterparts that the benchmark times any2seg against: numpy, torch and transformers as one would begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from any2seg_core.model.encoder import MIT_VARIANTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.config import PreprocessConfig
    from any2seg_core.frames import CameraModel, Events, Points

WINDOW_NS: Final = 50_000_000
"""Events are drawn from 0 to this."""


def numpy_lidar(points: Points, to_view: NDArray[np.float64], camera: CameraModel) -> NDArray[np.float32]:
    """Do what lidar_image does by default, with whole arrays and np.minimum.at."""
    xyz = points.xyz.astype(np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    seen = xyz @ to_view[:3, :3].T + to_view[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        uv = (seen[:, :2] / seen[:, 2:] @ camera.k[:2, :2].T + camera.k[:2, 2]).astype(np.float32)
    depth = seen[:, 2].astype(np.float32)
    kept = (depth > 0.01) & (distance >= 0.5) & (distance <= 100) & (uv >= -0.5).all(1)
    kept &= (uv[:, 0] < camera.width - 0.5) & (uv[:, 1] < camera.height - 0.5)
    column, row = np.floor(uv[kept] + 0.5).astype(np.int64).T
    nearest = np.full((camera.height, camera.width), np.inf, np.float32)
    np.minimum.at(nearest, (row, column), depth[kept])
    front = nearest[row, column] == depth[kept]
    image = np.zeros((camera.height, camera.width, 3), np.float32)
    near = 1 / 255 + 254 / 255 * (1 / distance[kept] - 1 / 100) / (1 / 0.5 - 1 / 100)
    high, bright = np.clip((xyz[kept, 2] + 3) / 8, 0, 1), np.clip(points.intensity[kept] / 255, 0, 1)
    image[row[front], column[front]] = np.stack([near, high, bright], 1)[front]
    return image


def numpy_histogram(events: Events) -> NDArray[np.float32]:
    """Do what event_stack does for "histogram", with np.add.at on three indices."""
    image = np.zeros((events.height, events.width, 3), np.float32)
    np.add.at(image, (events.y, events.x, 1 - events.polarity.astype(np.int64)), 1)
    image[..., :2] = np.minimum(image[..., :2] / 5, 1)
    image[events.y, events.x, 2] = events.t_ns / WINDOW_NS
    return image


def numpy_voxel(events: Events) -> NDArray[np.float32]:
    """Do what event_stack does for "voxel", with np.add.at."""
    image = np.zeros((events.height, events.width, 3), np.float32)
    place = events.t_ns / WINDOW_NS * 2
    lower = np.minimum(place.astype(np.int64), 1)
    sign = np.where(events.polarity > 0, 1.0, -1.0)
    np.add.at(image, (events.y, events.x, lower), (sign * (lower + 1 - place)).astype(np.float32))
    np.add.at(image, (events.y, events.x, lower + 1), (sign * (place - lower)).astype(np.float32))
    return np.clip(image / 5, -1, 1)


def numpy_picture(image: NDArray[np.uint8], config: PreprocessConfig) -> NDArray[np.float32]:
    """Normalise in floating point, then put channels first."""
    normalised = (image / 255.0 - config.rgb_mean) / config.rgb_std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), np.float32)


def torch_labels(logits: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Labels and confidence from full-size logits."""
    scores = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)[0]
    best, labels = scores.max(0)
    return labels.to(torch.uint8), (best - scores.logsumexp(0)).exp()


def torch_labels_alone(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels from full-size logits."""
    scores = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)[0]
    return scores.argmax(0).to(torch.uint8)


def literal_fusion(maps: Tensor) -> Tensor:
    """Fuse maps (M, C, H, W) by section 3.3 of the paper, word by word."""
    anchor = maps.mean(0)
    weights = functional.cosine_similarity(maps.flatten(1), anchor.flatten()[None], dim=1)
    balanced = (weights[:, None, None, None] * maps).mean(0)
    chosen = functional.cosine_similarity(maps, balanced[None], dim=1).argmax(0)
    selected = maps.gather(0, chosen[None, None].expand(1, *maps.shape[1:]))[0]
    return (balanced + selected)[None]


class PlainAny2Seg(nn.Module):
    """The same network put together from transformers: a pass per sensor, MFF per stage, its head, full-size argmax."""

    def __init__(self, classes: int, backbone: str = "mit_b0", width: int = 256) -> None:
        super().__init__()
        variant = MIT_VARIANTS[backbone]
        config = SegformerConfig(
            num_labels=classes,
            decoder_hidden_size=width,
            depths=list(variant.depths),
            hidden_sizes=list(variant.widths),
        )
        self.donor = SegformerForSemanticSegmentation(config)

    def forward(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """Labels (H, W) uint8 from pixels (1, M, 3, h, w)."""
        passes = [self.donor.segformer(image[None], output_hidden_states=True).hidden_states for image in pixels[0]]
        fused = tuple(literal_fusion(torch.cat(stage)) for stage in zip(*passes, strict=True))
        logits = self.donor.decode_head(fused)
        return torch_labels_alone(logits, size)
