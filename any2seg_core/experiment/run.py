# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the optimiser, the loop and the scoring."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from any2seg_core.config import Settings


class OptimConfig(Settings):
    """AdamW with linear warm-up and polynomial decay (Any2Seg, section 4.1)."""

    lr: float = Field(6e-5, gt=0, description="peak learning rate")
    betas: list[float] = Field([0.9, 0.999], min_length=2, max_length=2, description="AdamW's moment decays")
    weight_decay: float = Field(0.01, ge=0, description="decay of weights; biases and norms have none")
    epochs: int = Field(200, ge=1, description="passes over the training split")
    warmup_epochs: float = Field(10.0, ge=0, description="length of the linear warm-up")
    warmup_ratio: float = Field(0.1, gt=0, le=1, description="learning rate at its start, of the peak")
    poly_power: float = Field(0.9, ge=0, description="power of the decay")
    batch_size: int = Field(1, ge=1, description="samples per process and micro-batch")
    accumulation: int = Field(1, ge=1, description="micro-batches per step")
    clip_norm: float = Field(0.0, ge=0, description="largest gradient norm; 0: no clipping")


class TrainConfig(Settings):
    """The loop."""

    seed: int = Field(0, ge=0, description="decides initial weights, order, augmentation and subsets")
    initial_weights: str = Field("", description="MiT weights or checkpoint folder to start from; empty: random")
    device: Literal["auto", "cpu"] = Field("auto", description="auto: one CUDA device per process where there are any")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="arithmetic of the forward pass")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="moving average of the weights, scored and shipped; 0: off")
    sync_norm: bool = Field(default=False, description="share the batch norm's statistics among CUDA devices")
    compile: bool = Field(default=False, description="torch.compile the encoder")
    channels_last: bool = Field(default=True, description="memory layout of convolutions")
    gradient_checkpointing: bool = Field(default=False, description="recompute the encoder backwards to save memory")
    log_every: int = Field(10, ge=1, description="steps between log lines")
    gradients_every: int = Field(100, ge=0, description="steps between measurements of each loss' gradient; 0: never")
    checkpoint_every: int = Field(500, ge=1, description="steps between resumable states")
    eval_every: int = Field(1, ge=1, description="epochs between scorings")
    eval_from: int = Field(1, ge=1, description="first epoch to score")
    select_on: Literal["mss", "miss"] = Field("mss", description="score that chooses the best checkpoint")
    tensorboard: bool = Field(default=True, description="write TensorBoard files too, where it is installed")
    pictures: int = Field(4, ge=0, le=64, description="samples drawn after each scoring")


class EvaluationConfig(Settings):
    """Scoring."""

    batch_size: int = Field(4, ge=1, description="samples per forward pass")
    label_size: Literal["input", "native"] = Field(
        "input", description="score at the model input's size, as DELIVER's code does, or at the label's own"
    )
    subsets: Literal["all", "full"] = Field(
        "all",
        description="what is scored while training: every subset of modalities, or all of them only, without MISS",
    )
    absent: Literal["zero", "present_only"] = Field("zero", description="IoU of classes that never occur")
