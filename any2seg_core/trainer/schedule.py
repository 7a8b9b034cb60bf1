# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser, and its learning rate as a function of the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.optim import AdamW

if TYPE_CHECKING:
    from torch import nn

    from any2seg_core.experiment import OptimConfig


def build_optimiser(model: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW over all weights that learn; vectors (biases, norms) do not decay.

    Source: Any2Seg, section 4.1; the split of the decay as in DELIVER's code (https://github.com/jamycheung/DELIVER).
    """
    learned = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in learned if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in learned if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=config.lr, betas=(config.betas[0], config.betas[1]))


def learning_rate(step: int, steps_per_epoch: int, config: OptimConfig) -> float:
    """Learning rate of a step: linear from `warmup_ratio` of the peak, then polynomial decay.

    As in DELIVER's code the decay is laid out over one epoch more than are trained, so the last step still learns.

    Args:
        step: steps done before this one.
        steps_per_epoch: optimiser steps of an epoch.
        config: peak, lengths and power.
    """
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.lr * (config.warmup_ratio + (1 - config.warmup_ratio) * step / warmup)
    whole = (config.epochs + 1) * steps_per_epoch
    left = max(0.0, 1 - (step - warmup) / max(whole - warmup, 1))
    return config.lr * math.pow(left, config.poly_power)
