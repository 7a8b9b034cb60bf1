# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The network: one shared encoder, modality-agnostic fusion, an all-MLP decode head, and its checkpoints."""

from any2seg_core.model.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from any2seg_core.model.pretrained import load_pretrained
from any2seg_core.model.segmentor import Any2Seg, Prediction, build_model

__all__ = [
    "Any2Seg",
    "CheckpointInfo",
    "Prediction",
    "build_model",
    "load_checkpoint",
    "load_pretrained",
    "save_checkpoint",
]
