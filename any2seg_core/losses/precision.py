# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Losses are computed in float32 at least, whatever the network computes in."""

from __future__ import annotations

import torch
from torch import Tensor


def widened(tensor: Tensor) -> Tensor:
    """Half precision as float32, anything else as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
