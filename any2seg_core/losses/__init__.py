# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What training minimises: supervision, the two correlation losses of LSCD, and terms beyond the paper."""

from any2seg_core.losses.correlation import class_prototypes, class_similarity_loss, modality_correlation_loss
from any2seg_core.losses.objective import LossTerms, Objective, gradient_scales
from any2seg_core.losses.segmentation import cross_entropy, hard_cross_entropy, logit_distillation

__all__ = [
    "LossTerms",
    "Objective",
    "class_prototypes",
    "class_similarity_loss",
    "cross_entropy",
    "gradient_scales",
    "hard_cross_entropy",
    "logit_distillation",
    "modality_correlation_loss",
]
