# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What was counted, and every score that follows from it.

Source of the scores: Any2Seg (ECCV 2024), section 4: MSS with all modalities, system-level MISS as the mean over all
subsets of them, sensor-level MISS under each weather and each sensor failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.evaluator.subsets import all_subsets, short_name
from any2seg_core.frames import ClassTable, Modality, in_canonical_order, subset_key
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORMAT: Final = 1


class Cell(NamedTuple):
    """What a confusion matrix was counted on.

    Attributes:
        protocol: how absent modalities were left out.
        subset: the modalities present, as frames.subset_key names them.
        condition: weather, "" where the data set has none.
        failure: sensor failure, "" where there is none.
    """

    protocol: str
    subset: str
    condition: str
    failure: str


@dataclass(eq=False)
class EvalReport:
    """Confusion matrices by cell, and scores over any of their unions.

    Attributes:
        name: of the model.
        classes: K classes.
        modalities: all that the model takes.
        label_size: "input" or "native", the size at which pixels were compared.
        images: number of images seen.
        cells: counts.
    """

    name: str
    classes: ClassTable
    modalities: tuple[Modality, ...]
    label_size: str = "input"
    images: int = 0
    cells: dict[Cell, ConfusionMatrix] = field(default_factory=dict)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Protocols that were scored."""
        return tuple(sorted({cell.protocol for cell in self.cells}))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Weathers that occurred."""
        return tuple(sorted({cell.condition for cell in self.cells} - {""}))

    @property
    def failures(self) -> tuple[str, ...]:
        """Sensor failures that occurred."""
        return tuple(sorted({cell.failure for cell in self.cells} - {""}))

    @property
    def subsets(self) -> tuple[tuple[Modality, ...], ...]:
        """Subsets that were scored, in the order of all_subsets."""
        found = {cell.subset for cell in self.cells}
        return tuple(subset for subset in all_subsets(self.modalities) if subset_key(subset) in found)

    def matrix(
        self,
        subset: Iterable[Modality] | None = None,
        protocol: str = "drop",
        *,
        condition: str | None = None,
        failure: str | None = None,
    ) -> ConfusionMatrix:
        """Add up the counts of a subset, all modalities if left out, maybe of one weather or failure only.

        Raises:
            ConfigError: nothing was counted there.
        """
        key = subset_key(self.modalities if subset is None else subset)
        total = ConfusionMatrix(self.classes)
        found = False
        for cell, counted in self.cells.items():
            fits = (cell.protocol, cell.subset) == (protocol, key)
            if fits and condition in (None, cell.condition) and failure in (None, cell.failure):
                total.counts += counted.counts
                found = True
        if not found:
            where = f"{protocol} {key} condition={condition} failure={failure}"
            known = sorted({f"{cell.protocol} {cell.subset}" for cell in self.cells})
            msg = f"report: found nothing scored for {where}, expected one of {', '.join(known) or 'none'}"
            raise ConfigError(msg)
        return total

    def miou(
        self,
        subset: Iterable[Modality] | None = None,
        protocol: str = "drop",
        policy: AbsentClasses = AbsentClasses.ALL_AS_ZERO,
    ) -> float:
        """Mean IoU of a subset, in [0, 1]."""
        return self.matrix(subset, protocol).miou(policy)

    @property
    def mss(self) -> float:
        """Mean IoU with all modalities, absent classes counting as zero as in published tables."""
        return self.miou()

    @property
    def miss(self) -> float:
        """System-level MISS: the mean over all subsets of the mean IoU, absent modalities dropped.

        Raises:
            ConfigError: not all subsets were scored.
        """
        return self.system_miss()

    def system_miss(self, protocol: str = "drop", policy: AbsentClasses = AbsentClasses.ALL_AS_ZERO) -> float:
        """System-level MISS under a protocol and a policy for absent classes."""
        return float(np.mean([self.miou(subset, protocol, policy) for subset in all_subsets(self.modalities)]))

    def by_condition(
        self, subset: Iterable[Modality] | None = None, policy: AbsentClasses = AbsentClasses.ALL_AS_ZERO
    ) -> dict[str, float]:
        """Sensor-level MISS: mean IoU under each weather, then with each failure, absent modalities dropped."""
        chosen = tuple(self.modalities if subset is None else subset)
        counted = [cell for cell in self.cells if (cell.protocol, cell.subset) == ("drop", subset_key(chosen))]
        weathers, failures = ({cell[field] for cell in counted} - {""} for field in (2, 3))
        scores = {name: self.matrix(chosen, condition=name).miou(policy) for name in sorted(weathers)}
        return scores | {name: self.matrix(chosen, failure=name).miou(policy) for name in sorted(failures)}

    def __add__(self, other: EvalReport) -> EvalReport:
        """Merge the counts of two parts of one data set, scored with the same model.

        Raises:
            CheckpointError: the parts differ in more than what was counted.
        """
        ours = (self.name, self.classes, self.modalities, self.label_size)
        theirs = (other.name, other.classes, other.modalities, other.label_size)
        if ours != theirs:
            msg = (
                f"report: found {self.name!r} ({subset_key(self.modalities)}, {self.label_size}) and {other.name!r} "
                f"({subset_key(other.modalities)}, {other.label_size}), expected parts of one scoring"
            )
            raise CheckpointError(msg)
        merged = EvalReport(*ours, images=self.images + other.images)
        for part in (self, other):
            for cell, counted in part.cells.items():
                merged.cells[cell] = merged.cells.get(cell, ConfusionMatrix(self.classes)) + counted
        return merged

    def to_json(self) -> dict[str, Any]:
        """Describe counts and scores in plain JSON types; from_json reads the counts again."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "modalities": [modality.value for modality in self.modalities],
            "label_size": self.label_size,
            "images": self.images,
            "classes": self.classes.to_json(),
            "scores": self._scores(),
            "cells": [
                {**cell._asdict(), "counts": counted.counts.tolist()} for cell, counted in sorted(self.cells.items())
            ],
        }

    def _scores(self) -> dict[str, Any]:
        whole = len(self.subsets) == len(all_subsets(self.modalities))
        return {
            protocol: {
                "miss": {policy.value: self.system_miss(protocol, policy) for policy in AbsentClasses}
                if whole
                else None,
                "subsets": {short_name(subset): self._entry(subset, protocol) for subset in self.subsets},
            }
            for protocol in self.protocols
        } | {"conditions": {policy.value: self.by_condition(policy=policy) for policy in AbsentClasses}}

    def _entry(self, subset: tuple[Modality, ...], protocol: str) -> dict[str, Any]:
        scores = self.matrix(subset, protocol).to_json()
        return {name: value for name, value in scores.items() if name not in ("counts", "classes")}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> EvalReport:
        """Read what to_json wrote.

        Raises:
            ConfigError: it is something else.
        """
        try:
            if values["format"] != _FORMAT:
                msg = f"report: found format {values['format']!r}, expected {_FORMAT}; score again with this version"
                raise ConfigError(msg)
            report = EvalReport(
                str(values["name"]),
                ClassTable.from_json(values["classes"]),
                in_canonical_order(Modality(name) for name in values["modalities"]),
                str(values["label_size"]),
                int(values["images"]),
            )
            for row in values["cells"]:
                cell = Cell(row["protocol"], row["subset"], row["condition"], row["failure"])
                report.cells[cell] = ConfusionMatrix(report.classes)
                report.cells[cell].counts[:] = row["counts"]
        except (KeyError, TypeError, ValueError) as error:
            msg = f"report: found a file that is no report ({error!r}), expected what evaluate wrote"
            raise ConfigError(msg) from error
        return report
