# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of a replay, which add up over recordings, and the scores that follow from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from any2seg_core.evaluator.subsets import all_subsets
from any2seg_core.frames import Modality, subset_key
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_ros.replay.verdict import ClassScore, Indicators, Quantiles, Scores, SubsetRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from any2seg_core.frames import ClassTable

_POLICIES = {"present": AbsentClasses.PRESENT, "zero": AbsentClasses.ALL_AS_ZERO}


@dataclass
class Share:
    """So many out of so many."""

    part: int = 0
    whole: int = 0

    def add(self, part: int, whole: int) -> None:
        """Count more."""
        self.part, self.whole = self.part + part, self.whole + whole

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.part / self.whole if self.whole else None


@dataclass
class Tally:
    """What was counted.

    Attributes:
        classes: meaning of ids.
        truth: confusion matrix by name: "" for all outputs, "condition NAME", "subset KEY".
        frames: outputs that went into each of them.
        agreement: pixels that a subset labels as all living sensors do, by subset key.
        agreeing: outputs that went into each of these.
        changed: pixels labelled otherwise than one output before.
        unlabelled: pixels without a label.
        confidence: mean confidence of each output.
    """

    classes: ClassTable
    truth: dict[str, ConfusionMatrix] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)
    agreement: dict[str, Share] = field(default_factory=dict)
    agreeing: dict[str, int] = field(default_factory=dict)
    changed: Share = field(default_factory=Share)
    unlabelled: Share = field(default_factory=Share)
    confidence: list[float] = field(default_factory=list)

    def count(self, name: str, matrix: ConfusionMatrix) -> None:
        """Add an output's pixels under a name."""
        self.truth[name] = self.truth[name] + matrix if name in self.truth else matrix
        self.frames[name] = self.frames.get(name, 0) + 1

    def agree(self, key: str, same: int, pixels: int) -> None:
        """Add how far a subset agrees with all living sensors on an output."""
        self.agreement.setdefault(key, Share()).add(same, pixels)
        self.agreeing[key] = self.agreeing.get(key, 0) + 1

    def __add__(self, other: Tally) -> Tally:
        """Merge the counts of two recordings."""
        merged = Tally(self.classes)
        for one in (self, other):
            for name, matrix in one.truth.items():
                merged.truth[name] = merged.truth[name] + matrix if name in merged.truth else matrix
                merged.frames[name] = merged.frames.get(name, 0) + one.frames[name]
            for key, share in one.agreement.items():
                merged.agreement.setdefault(key, Share()).add(share.part, share.whole)
                merged.agreeing[key] = merged.agreeing.get(key, 0) + one.agreeing[key]
            merged.changed.add(one.changed.part, one.changed.whole)
            merged.unlabelled.add(one.unlabelled.part, one.unlabelled.whole)
            merged.confidence += one.confidence
        return merged

    def scores(self, name: str = "") -> Scores | None:
        """Scores under a name, or None where nothing was compared with truth."""
        matrix = self.truth.get(name)
        return None if matrix is None or not matrix.pixels else scores_of(matrix, self.frames[name])

    def conditions(self) -> dict[str, Scores]:
        """Scores by condition."""
        found = {name.removeprefix("condition "): self.scores(name) for name in self.truth if name.startswith("condi")}
        return {name: scores for name, scores in sorted(found.items()) if scores is not None}

    def subsets(self, modalities: Sequence[Modality]) -> list[SubsetRow]:
        """The rows of the subset table that were counted, largest subsets first."""
        rows = []
        for subset in reversed(all_subsets(tuple(modalities))):
            key = subset_key(subset)
            if key in self.agreement:
                matrix = self.truth.get(f"subset {key}")
                rows.append(
                    SubsetRow(
                        modalities=[modality.value for modality in subset],
                        frames=self.agreeing[key],
                        miou=None if matrix is None else _number(matrix.miou(AbsentClasses.PRESENT)),
                        agreement=self.agreement[key].value or 0.0,
                    )
                )
        return rows

    def miss(self, modalities: Sequence[Modality]) -> float | None:
        """Mean of mIoU over all subsets (Any2Seg, section 4), or None where one of them was not scored."""
        found = [row.miou for row in self.subsets(modalities)]
        scored = [value for value in found if value is not None]
        whole = len(scored) == len(all_subsets(tuple(modalities)))
        return float(np.mean(scored)) if scored and whole else None

    def indicators(self) -> Indicators:
        """What can be said without truth."""
        return Indicators(
            flicker=self.changed.value, confidence=quantiles(self.confidence), unlabelled=self.unlabelled.value or 0.0
        )

    def to_json(self) -> dict[str, Any]:
        """Describe the counts in plain JSON types."""
        return {
            "truth": {name: matrix.counts.tolist() for name, matrix in self.truth.items()},
            "frames": self.frames,
            "agreement": {key: [share.part, share.whole] for key, share in self.agreement.items()},
            "agreeing": self.agreeing,
            "changed": [self.changed.part, self.changed.whole],
            "unlabelled": [self.unlabelled.part, self.unlabelled.whole],
            "confidence": self.confidence,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any], classes: ClassTable) -> Tally:
        """Read what to_json wrote."""
        tally = Tally(classes, frames=dict(values["frames"]), agreeing=dict(values["agreeing"]))
        for name, counts in values["truth"].items():
            tally.truth[name] = ConfusionMatrix(classes)
            tally.truth[name].counts += np.array(counts, np.int64)
        tally.agreement = {key: Share(*share) for key, share in values["agreement"].items()}
        tally.changed, tally.unlabelled = Share(*values["changed"]), Share(*values["unlabelled"])
        tally.confidence = list(values["confidence"])
        return tally


def scores_of(matrix: ConfusionMatrix, frames: int) -> Scores:
    """Put a confusion matrix into the report's words."""
    iou, f1, acc, pixels = matrix.iou(), matrix.f1(), matrix.accuracy(), matrix.counts.sum(axis=1)
    return Scores(
        frames=frames,
        miou={name: _number(matrix.miou(policy)) or 0.0 for name, policy in _POLICIES.items()},
        f1={name: _number(matrix.mf1(policy)) or 0.0 for name, policy in _POLICIES.items()},
        acc={name: _number(matrix.macc(policy)) or 0.0 for name, policy in _POLICIES.items()},
        pixel_acc=_number(matrix.pixel_accuracy()) or 0.0,
        classes=[
            ClassScore(
                id=index,
                name=name,
                iou=_number(iou[index]),
                f1=_number(f1[index]),
                acc=_number(acc[index]),
                pixels=int(pixels[index]),
            )
            for index, name in enumerate(matrix.classes.names)
        ],
        confusion=matrix.counts[:, :-1].tolist(),
    )


def quantiles(values: Sequence[float]) -> Quantiles | None:
    """Spread of values, or None of nothing."""
    if not len(values):
        return None
    p50, p95 = np.quantile(np.asarray(values, np.float64), [0.5, 0.95])
    return Quantiles(count=len(values), p50=float(p50), p95=float(p95), max=float(np.max(values)))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
