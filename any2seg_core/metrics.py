# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of labels against truth: one confusion matrix, and IoU, F1 and accuracy from it.

A class that occurs nowhere has no IoU. Whether it is left out of a mean or counted as zero changes a
mean by many points, so every mean takes a policy by name and reports print that name.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from any2seg_core.errors import CheckpointError, FrameError
from any2seg_core.frames import UNLABELLED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import ClassTable

_IDS = 256


class AbsentClasses(str, Enum):
    """What a mean over classes does with a class whose score is undefined."""

    PRESENT = "present"
    """Mean over the classes that have a score: for IoU and F1 those in the target or in the prediction, for
    accuracy those in the target. NaN when there is none."""
    ALL_AS_ZERO = "all_as_zero"
    """An undefined score counts as 0 and the mean is over all K classes, as the published DELIVER numbers are
    computed (https://github.com/jamycheung/DELIVER). A subset that lacks a class is punished for it."""


class ConfusionMatrix:
    """Counts of pixels by true and predicted class, over as many images as were given.

    Attributes:
        classes: meaning of the ids.
        counts: (K, K + 1) int64; row = true class, column = predicted class. The last column counts pixels
            with a true class that were left unlabelled: they are wrong answers for their class, and no
            class's false alarms.
    """

    def __init__(self, classes: ClassTable) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((len(classes), len(classes) + 1), np.int64)

    def update(self, labels: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
        """Count one image, or a batch of them.

        Args:
            labels: (..., H, W) uint8 predicted ids; 255 is a wrong answer wherever the target has a class.
            target: (..., H, W) uint8 true ids; 255 is not scored.

        Raises:
            FrameError: the arrays differ in shape, are not uint8, or hold an id that the table lacks. Nothing
                is counted then.
        """
        if labels.shape != target.shape or labels.dtype != np.uint8 or target.dtype != np.uint8:
            msg = (
                f"metrics: found labels {labels.dtype} {labels.shape} and target {target.dtype} {target.shape}, "
                "expected two uint8 arrays of one shape; resize the labels first"
            )
            raise FrameError(msg)
        pairs = (target.astype(np.uint16) << 8) | labels
        joint = np.bincount(pairs.ravel(), minlength=_IDS * _IDS).reshape(_IDS, _IDS)
        self._check_ids("target", joint.sum(axis=1))
        self._check_ids("labels", joint.sum(axis=0))
        known = len(self.classes)
        self.counts[:, :known] += joint[:known, :known]
        self.counts[:, known] += joint[:known, UNLABELLED]

    def _check_ids(self, name: str, histogram: NDArray[np.int64]) -> None:
        known = len(self.classes)
        unknown = known + np.flatnonzero(histogram[known:UNLABELLED])
        if unknown.size:
            msg = (
                f"metrics: found ids {unknown.tolist()[:5]} in the {name}, expected 0 to {known - 1} or {UNLABELLED}; "
                "map the ids to this class table first"
            )
            raise FrameError(msg)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Merge two matrices into a new one, as if one had counted all images.

        Raises:
            CheckpointError: the class tables differ.
        """
        if self.classes != other.classes:
            msg = (
                f"metrics: found matrices over {len(self.classes)} and {len(other.classes)} classes that differ, "
                "expected one class table; score both with the same table"
            )
            raise CheckpointError(msg)
        merged = ConfusionMatrix(self.classes)
        merged.counts = self.counts + other.counts
        return merged

    @property
    def pixels(self) -> int:
        """Number of pixels scored."""
        return int(self.counts.sum())

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, (K,); NaN for a class in neither target nor prediction."""
        hits, predicted, true = self._margins()
        return _ratio(hits, predicted + true - hits)

    def f1(self) -> NDArray[np.float64]:
        """Twice the hits over predicted plus true pixels, (K,); NaN where iou is NaN."""
        hits, predicted, true = self._margins()
        return _ratio(2 * hits, predicted + true)

    def accuracy(self) -> NDArray[np.float64]:
        """Hits over true pixels (recall; "Acc" in the DELIVER tables), (K,); NaN for a class not in the target."""
        hits, _, true = self._margins()
        return _ratio(hits, true)

    def pixel_accuracy(self) -> float:
        """Part of all scored pixels that is right; NaN when none was scored."""
        return float(np.trace(self.counts) / self.pixels) if self.pixels else float("nan")

    def miou(self, policy: AbsentClasses) -> float:
        """Mean IoU over classes under a named policy for absent classes."""
        return _mean(self.iou(), policy)

    def mf1(self, policy: AbsentClasses) -> float:
        """Mean F1 over classes under a named policy for absent classes."""
        return _mean(self.f1(), policy)

    def macc(self, policy: AbsentClasses) -> float:
        """Mean class accuracy under a named policy for absent classes."""
        return _mean(self.accuracy(), policy)

    def to_json(self) -> dict[str, Any]:
        """Describe counts and scores in plain JSON types; an undefined score is None, means are keyed by policy."""
        return {
            "classes": list(self.classes.names),
            "counts": self.counts.tolist(),
            "iou": _plain(self.iou()),
            "f1": _plain(self.f1()),
            "accuracy": _plain(self.accuracy()),
            "pixel_accuracy": _plain([self.pixel_accuracy()])[0],
            "miou": {policy.value: _plain([self.miou(policy)])[0] for policy in AbsentClasses},
            "mf1": {policy.value: _plain([self.mf1(policy)])[0] for policy in AbsentClasses},
            "macc": {policy.value: _plain([self.macc(policy)])[0] for policy in AbsentClasses},
        }

    def _margins(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Hits, predicted and true pixels of each class, (K,) each."""
        return np.diagonal(self.counts), self.counts[:, :-1].sum(axis=0), self.counts.sum(axis=1)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    scores = np.full(len(whole), np.nan)
    np.divide(part, whole, out=scores, where=whole > 0)
    return scores


def _mean(scores: NDArray[np.float64], policy: AbsentClasses) -> float:
    if policy is AbsentClasses.ALL_AS_ZERO:
        return float(np.nan_to_num(scores, nan=0.0).mean())
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if defined.size else float("nan")


def _plain(scores: NDArray[np.float64] | list[float]) -> list[float | None]:
    return [None if np.isnan(score) else float(score) for score in scores]
