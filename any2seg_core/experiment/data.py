# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the data: which data set, how it is augmented, which modalities a step sees."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from any2seg_core.config import Settings


class DataConfig(Settings):
    """Which samples."""

    dataset: str = Field("deliver", description="data set specification in any2seg_core.data.catalog")
    root: str = Field("", description="folder of the unpacked data set")
    train_split: str = Field("train", description="split to learn from")
    eval_split: str = Field("val", description="split to score on and to choose the checkpoint by; never test")
    depth_source: Literal["hha", "raw"] = Field(
        "raw", description="precomputed hha pictures, or metric depth coded as preprocess says"
    )
    conditions: list[str] = Field([], description="only these weathers; empty: all")
    failures: list[str] = Field([], description="only these sensor failures, 'none' for normal scenes; empty: all")
    limit: int = Field(0, ge=0, description="use only so many samples, evenly spread; 0: all")
    skip_corrupt: bool = Field(default=False, description="leave out unreadable samples, counted, instead of stopping")
    workers: int = Field(4, ge=0, le=256, description="loader processes per training process")


class AugmentConfig(Settings):
    """Augmentation of training samples: geometry for all modalities together, photometry for each by itself."""

    crop_px: int = Field(1024, ge=32, le=4096, multiple_of=32, description="side of the square crop")
    resize_min: float = Field(
        0.5, gt=0, le=4, description="smallest random resize: the short side becomes so many crops"
    )
    resize_max: float = Field(2.0, gt=0, le=4, description="largest random resize, likewise")
    flip_p: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    jitter_p: float = Field(0.2, ge=0, le=1, description="probability of colour jitter, RGB only")
    jitter_strength: float = Field(0.5, ge=0, lt=1, description="jitter factors are drawn from 1 - this to 1 + this")
    blur_p: float = Field(0.2, ge=0, le=1, description="probability of a 3 x 3 Gaussian blur, RGB and NIR")
    missing_pixels_p: float = Field(0.0, ge=0, le=1, description="probability per modality of losing random pixels")
    missing_pixels_max: float = Field(0.5, ge=0, lt=1, description="largest share of pixels lost then")
    noise_p: float = Field(0.0, ge=0, le=1, description="probability per modality of Gaussian noise")
    noise_max: float = Field(0.1, ge=0, le=1, description="largest spread of that noise, of full scale")

    @model_validator(mode="after")
    def _check_order(self) -> AugmentConfig:
        if self.resize_min > self.resize_max:
            msg = f"resize_min {self.resize_min} must not be above resize_max {self.resize_max}"
            raise ValueError(msg)
        return self


class SubsetConfig(Settings):
    """Which modalities a training step sees."""

    mode: Literal["full", "random", "both"] = Field(
        "full", description="all; a random non-empty subset per sample; or all and a random subset, sharing the encoder"
    )
