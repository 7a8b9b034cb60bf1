# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Subsets of modalities and the letters that the literature knows them by."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from any2seg_core.frames import Modality, in_canonical_order

if TYPE_CHECKING:
    from collections.abc import Iterable

_LETTERS: Final = {
    Modality.RGB: "R",
    Modality.DEPTH: "D",
    Modality.EVENT: "E",
    Modality.LIDAR: "L",
    Modality.NIR: "N",
    Modality.AOLP: "A",
    Modality.DOLP: "P",
}


def all_subsets(modalities: Iterable[Modality]) -> tuple[tuple[Modality, ...], ...]:
    """List every non-empty subset, small ones first, in the order of the paper's table 3."""
    ordered = in_canonical_order(modalities)
    return tuple(subset for size in range(1, len(ordered) + 1) for subset in itertools.combinations(ordered, size))


def short_name(modalities: Iterable[Modality]) -> str:
    """Name a subset by letters, for example RDEL; P is the degree of polarisation, because D is depth."""
    return "".join(_LETTERS[modality] for modality in in_canonical_order(modalities))
