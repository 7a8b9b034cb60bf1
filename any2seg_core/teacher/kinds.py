# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Teachers by name. Apart from the rest, because what it imports is slow, and reading a cache needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from any2seg_core.errors import ConfigError
from any2seg_core.teacher.hf_clip import open_hf_clip
from any2seg_core.teacher.languagebind import open_languagebind
from any2seg_core.teacher.tiny import open_tiny

if TYPE_CHECKING:
    from any2seg_core.experiment import TeacherConfig
    from any2seg_core.teacher.base import Teacher

_KINDS: Final = {"tiny": open_tiny, "languagebind": open_languagebind, "hf_clip": open_hf_clip}
DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16}


def open_teacher(config: TeacherConfig, device: torch.device) -> Teacher:
    """Load the teacher that the settings name, frozen.

    Raises:
        ConfigError: kind is none, or settings do not fit.
        CheckpointError: weights are missing, broken, incomplete or not what the kind expects.
    """
    if config.kind not in _KINDS:
        msg = f"teacher: found kind {config.kind!r}, expected one of {', '.join(_KINDS)}; set teacher.kind"
        raise ConfigError(msg)
    return _KINDS[config.kind](config, device, DTYPES[config.precision])
