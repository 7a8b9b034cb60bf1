# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The total objective: L = L_sup + L_cr + L_se (Any2Seg, equation 8), and terms beyond the paper.

Letters: B batch, M modalities, P rows (present pairs of sample and modality), K classes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import UNLABELLED
from any2seg_core.losses.correlation import class_prototypes, class_similarity_loss, modality_correlation_loss
from any2seg_core.losses.precision import widened
from any2seg_core.losses.segmentation import cross_entropy, hard_cross_entropy, logit_distillation
from any2seg_core.losses.watch import watch_classes, watch_cosines, watch_teacher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from any2seg_core.batch import Batch, TeacherTargets
    from any2seg_core.experiment.loss import LossConfig
    from any2seg_core.losses.contract import Maps, Prediction, Segmentor


@dataclass(frozen=True, eq=False)
class LossTerms:
    """What a batch costs, and why.

    Attributes:
        total: scalar to go down: the weighted sum of the terms.
        terms: scalars before weighting, with their graph: "sup" always; "cr", "se", "base", "auxiliary", "subset" and
            "distill" where their weight is above 0 and the batch has what they need.
        weights: weight of each term.
        watch: scalars without graph that tell how training goes, NaN where the batch cannot tell.
        prediction: from all present modalities.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    weights: Mapping[str, float]
    watch: Mapping[str, Tensor]
    prediction: Prediction


class Objective:
    """The training objective of one experiment.

    It works on the parts of the model, so that features are encoded once, whatever is made of them. Under
    DistributedDataParallel, wrap a module whose forward calls the objective on the model.

    Args:
        config: which terms, and how they are weighed.
    """

    def __init__(self, config: LossConfig) -> None:
        self._config = config
        self._supervise = _SUPERVISIONS[config.supervision](config)
        self._weights = {
            "sup": 1.0,
            "cr": config.cr_weight,
            "se": config.se_weight,
            "base": config.base_weight,
            "auxiliary": config.auxiliary_weight,
            "subset": config.subset_weight,
            "distill": config.distill_weight,
        }

    def __call__(
        self, model: Segmentor, batch: Batch, *, subset: Tensor | None = None, previous: Maps | None = None
    ) -> LossTerms:
        """Compute all terms of a batch.

        L_cr and L_se need what the teacher says, and are left out of a batch without.

        Args:
            model: the network, in training mode.
            batch: samples on the model's device.
            subset: (B, M) bool, part of batch.present, at least one True per sample: fused and supervised too, from the
                same features.
            previous: state of an earlier prediction, which joins the anchor of fusion; left out where sizes differ.

        Raises:
            FrameError: batch, subset or teacher's targets do not fit each other or the model, or a target is no class.
            ConfigError: a term needs features of each modality, and this model has none.
        """
        self._check(model, batch, subset)
        full, part = _PREDICT[model.shares_encoder](model, batch, subset, previous)
        terms = {"sup": self._supervise(full.logits, batch.targets)}
        watch: dict[str, Tensor] = {}
        if full.features:
            cosines = _ANCHORS[self._config.cr_anchor](full)
            watch |= watch_cosines(cosines, full.present, model.modalities)
            terms |= self._each(model, full, batch.targets)
            if batch.teacher is not None and self._weights["cr"]:
                terms["cr"], seen = self._modality_correlation(cosines, full.present, batch.teacher)
                watch |= seen
        if batch.teacher is not None and self._weights["se"]:
            terms["se"], seen = self._class_similarity(full.fused, batch.targets, batch.teacher)
            watch |= seen
        if part is not None:
            terms |= self._subset(full, part, batch.targets)
        weights = {name: self._weights[name] for name in terms}
        total = functools.reduce(torch.add, (weights[name] * value for name, value in terms.items()))
        return LossTerms(total, terms, weights, watch, full)

    def _modality_correlation(
        self, cosines: Tensor, present: Tensor, teacher: TeacherTargets
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_cr, and how much there is to learn from the teacher."""
        config = self._config
        available = present & teacher.valid
        loss = modality_correlation_loss(
            cosines, teacher.correlation, available, temperature=config.cr_temperature, direction=config.direction
        )
        return loss, watch_teacher(teacher.correlation, available, config.cr_temperature)

    def _class_similarity(
        self, fused: Tensor, targets: Tensor, teacher: TeacherTargets
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_se, and how many classes it compares."""
        config = self._config
        prototypes, pixels = class_prototypes(fused, targets, len(teacher.classes), scope=config.se_scope)
        loss = class_similarity_loss(
            prototypes,
            pixels,
            teacher.classes,
            temperature=config.se_temperature,
            direction=config.direction,
            diagonal=config.se_diagonal,
        )
        return loss, watch_classes(pixels)

    def _each(self, model: Segmentor, full: Prediction, targets: Tensor) -> dict[str, Tensor]:
        """Supervise what fusion starts from: the plain mean of the modalities, and each of them as if alone."""
        sample = full.present.nonzero()[:, 0]  # (P,)
        terms = {}
        if self._weights["base"]:
            terms["base"] = self._supervise(model.decode(_means(full)), targets)
        if self._weights["auxiliary"]:
            terms["auxiliary"] = self._supervise(model.decode(full.features), targets[sample])
        return terms

    def _subset(self, full: Prediction, part: Prediction, targets: Tensor) -> dict[str, Tensor]:
        """Supervise the subset by the labels, and teach it by what all modalities together say."""
        terms = {}
        if self._weights["subset"]:
            terms["subset"] = self._supervise(part.logits, targets)
        if self._weights["distill"]:
            temperature = self._config.distill_temperature
            terms["distill"] = logit_distillation(part.logits, full.logits, temperature=temperature)
        return terms

    def _check(self, model: Segmentor, batch: Batch, subset: Tensor | None) -> None:
        present, teacher = batch.present, batch.teacher
        strange = (batch.targets != UNLABELLED) & ((batch.targets < 0) | (batch.targets >= model.classes))
        if strange.any():
            found = sorted(set(batch.targets[strange].tolist()))[:5]
            msg = (
                f"objective: found ids {found} in the targets of {', '.join(batch.ids)}, expected 0 to "
                f"{model.classes - 1} or {UNLABELLED}; map the labels to this model's classes"
            )
            raise FrameError(msg)
        if len(self._config.class_weights) not in (0, model.classes):
            msg = f"objective: found {len(self._config.class_weights)} class_weights, expected none or {model.classes}"
            raise ConfigError(msg)
        if subset is not None and (subset.shape != present.shape or bool((subset & ~present).any())):
            msg = (
                f"objective: found a subset of shape {tuple(subset.shape)}, or with absent modalities, expected part "
                f"of the {tuple(present.shape)} present ones; draw it from batch.present"
            )
            raise FrameError(msg)
        if teacher is not None and (
            teacher.correlation.shape != present.shape or teacher.classes.shape != (model.classes, model.classes)
        ):
            msg = (
                f"objective: found teacher's targets for {tuple(teacher.correlation.shape)} modalities and "
                f"{tuple(teacher.classes.shape)} classes, expected {tuple(present.shape)} and {model.classes} classes; "
                "build the teacher's cache for this data set"
            )
            raise FrameError(msg)
        if not model.shares_encoder and (self._weights["base"] or self._weights["auxiliary"]):
            msg = (
                "objective: found base_weight or auxiliary_weight above 0 for a model that joins modalities before its "
                "encoder, expected 0; there are no features of each modality"
            )
            raise ConfigError(msg)


def gradient_scales(terms: LossTerms, parameters: Sequence[Tensor] | None = None) -> dict[str, Tensor]:
    """Norm of each weighted term's gradient, which tells what drives training; call it before backward.

    Args:
        terms: of a batch; their graph stays.
        parameters: tensors of that graph, weights for example; if left out, the maps that fusion starts from, which
            all terms depend on and which spare the way back through the encoder.

    Returns:
        Scalar per term, 0 for a term that does not depend on them.
    """
    wanted = list(terms.prediction.features or [terms.prediction.fused]) if parameters is None else list(parameters)
    scales = {}
    for name, value in terms.terms.items():
        weighted = terms.weights[name] * value
        found = torch.autograd.grad(weighted, wanted, retain_graph=True, allow_unused=True)
        squares = [gradient.float().square().sum() for gradient in found if gradient is not None]
        scales[name] = functools.reduce(torch.add, squares, torch.zeros((), device=value.device)).sqrt()
    return scales


def _from_features(
    model: Segmentor, batch: Batch, subset: Tensor | None, previous: Maps | None
) -> tuple[Prediction, Prediction | None]:
    """Encode once; fuse and decode all present modalities, then the subset's rows."""
    features = model.extract(batch.pixels, batch.present)
    fitting = previous if _fits(previous, features, len(batch)) else None
    full: Prediction = model.fuse_and_decode(features, batch.present, fitting)
    if subset is None:
        return full, None
    rows = subset[batch.present]  # (P,)
    return full, model.fuse_and_decode(tuple(level[rows] for level in features), subset)


def _from_pixels(
    model: Segmentor,
    batch: Batch,
    subset: Tensor | None,
    previous: Maps | None,  # noqa: ARG001  (one signature; without fusion there is no t-1)
) -> tuple[Prediction, Prediction | None]:
    """Run the whole model once for all present modalities, and once for the subset."""
    full: Prediction = model(batch.pixels, batch.present)
    return full, None if subset is None else model(batch.pixels, subset)


def _fits(previous: Maps | None, features: Maps, batch: int) -> bool:
    expected = [(batch, *level.shape[1:]) for level in features]
    return previous is not None and [tuple(level.shape) for level in previous] == expected


def _means(full: Prediction) -> Maps:
    """Mean (B, C, h, w) of the present modalities' maps, level by level."""
    sample = full.present.nonzero()[:, 0]
    share = (full.present / full.present.sum(1, keepdim=True))[full.present].view(-1, 1, 1, 1)
    weighted = [widened(level) * share for level in full.features]
    sums = [level.new_zeros(len(full.present), *level.shape[1:]).index_add(0, sample, level) for level in weighted]
    return tuple(mean.to(level.dtype) for mean, level in zip(sums, full.features, strict=True))


_PREDICT: Final = {True: _from_features, False: _from_pixels}

_SUPERVISIONS: Final[dict[str, Callable[[LossConfig], Callable[[Tensor, Tensor], Tensor]]]] = {
    "ce": lambda config: functools.partial(cross_entropy, class_weights=config.class_weights),
    "ohem": lambda config: functools.partial(
        hard_cross_entropy, threshold=config.ohem_threshold, keep=config.ohem_keep
    ),
}

_ANCHORS: Final[dict[str, Callable[[Prediction], Tensor]]] = {
    "output": lambda prediction: prediction.correlation(),
    "detached": lambda prediction: prediction.correlation(detach_anchor=True),
    "weights": lambda prediction: prediction.weights,
}
