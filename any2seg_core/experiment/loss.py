# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the losses (Any2Seg, equations 1 to 8).

Table 5 of the paper also knows L_base, cross-entropy on plain mean fusion. Its rows without L_sup are models whose
fusion is that mean (model.reweight and model.select off), so that "sup" is L_base; its rows with both are MFF models
with base_weight 1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from any2seg_core.config import Settings


class LossConfig(Settings):
    """L = L_sup + L_cr + L_se, and terms beyond the paper, which are off by default."""

    supervision: Literal["ce", "ohem"] = Field("ce", description="L_sup: cross-entropy, or its hard pixels only")
    class_weights: list[float] = Field(
        [], description="how much a pixel of each class counts in the cross-entropy, by id; empty: all alike"
    )
    ohem_threshold: float = Field(0.7, gt=0, lt=1, description="pixels of lower probability are hard")
    ohem_keep: float = Field(0.0625, gt=0, le=1, description="smallest share of pixels kept")
    cr_weight: float = Field(1.0, ge=0, description="weight of L_cr, inter-modal correlation; 0: off")
    cr_temperature: float = Field(1.0, ge=0.01, le=10, description="temperature of the softmax over modalities")
    cr_anchor: Literal["output", "detached", "weights"] = Field(
        "output",
        description="student cosines: with f_ma; with f_ma cut from its graph; or the weights of MFF, to its anchor",
    )
    se_weight: float = Field(1.0, ge=0, description="weight of L_se, class self-similarity; 0: off")
    se_temperature: float = Field(1.0, ge=0.01, le=10, description="temperature of the softmax over classes")
    se_diagonal: bool = Field(default=True, description="L_se compares classes with themselves too")
    se_scope: Literal["image", "batch"] = Field("image", description="pixels that one set of class features pools")
    direction: Literal["teacher_student", "student_teacher"] = Field(
        "teacher_student", description="KL(teacher || student), or the other way round"
    )
    base_weight: float = Field(0.0, ge=0, description="weight of L_base, cross-entropy on plain mean fusion")
    auxiliary_weight: float = Field(0.0, ge=0, description="weight of each modality's own cross-entropy")
    subset_weight: float = Field(1.0, ge=0, description="weight of the subset's cross-entropy in subset mode 'both'")
    distill_weight: float = Field(0.0, ge=0, description="weight of self-distillation from all modalities to a subset")
    distill_temperature: float = Field(1.0, ge=0.01, le=20, description="its temperature")

    @model_validator(mode="after")
    def _check_weights(self) -> LossConfig:
        if self.class_weights and (min(self.class_weights) < 0 or not max(self.class_weights) > 0):
            msg = f"class_weights {self.class_weights} must be 0 or more, and not all 0"
            raise ValueError(msg)
        if self.class_weights and self.supervision != "ce":
            msg = f"class_weights do not go with supervision {self.supervision!r}, which weighs pixels itself"
            raise ValueError(msg)
        return self
