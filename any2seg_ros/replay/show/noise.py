# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a change between two replays of the same frames is more than noise: a paired block bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES: Final = 2000
LEAST_PAIRS: Final = 10
"""Fewer pairs say nothing about noise."""
_COVERAGE: Final = (2.5, 97.5)
_SEED: Final = 0


@dataclass(frozen=True)
class Change:
    """The mean change over pairs of frames.

    Attributes:
        pairs: number of frames in both replays.
        before: mean over the pairs in the old replay.
        after: in the new one.
        low, high: 95 % interval of the change of the mean; None with too few pairs.
        block: length in frames of the blocks that were drawn.
    """

    pairs: int
    before: float
    after: float
    low: float | None
    high: float | None
    block: int

    @property
    def mean(self) -> float:
        """Change of the mean."""
        return self.after - self.before

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def change(before: NDArray[np.float64], after: NDArray[np.float64]) -> Change | None:
    """Compare paired values, (N,) each, in order of time; None without a pair.

    Frames of a drive resemble their neighbours, so frames drawn one by one would make every change look certain.
    Blocks of neighbours are drawn instead (Kuensch 1989, "The jackknife and the bootstrap for general stationary
    observations"), circular, of the length that Carlstein (1986) gives for the correlation found.
    """
    pairs = len(before)
    if not pairs:
        return None
    differences = after - before
    block = _block_length(differences)
    low, high = _interval(differences, block) if pairs >= LEAST_PAIRS else (None, None)
    return Change(pairs, float(before.mean()), float(after.mean()), low, high, block)


def _interval(differences: NDArray[np.float64], block: int) -> tuple[float, float]:
    """Draw blocks until there are as many frames as before, again and again; each block is summed only once."""
    count = len(differences)
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([differences, differences[: block - 1]]))])
    means = (running[block:] - running[:-block]) / block
    rng = np.random.default_rng(_SEED)
    draws = math.ceil(count / block)
    resampled = [means[rng.integers(count, size=draws)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(resampled, _COVERAGE)
    return float(low), float(high)


def _block_length(differences: NDArray[np.float64]) -> int:
    """Give (2 r / (1 - r^2))^(2/3) N^(1/3) frames for a correlation r of neighbours, at most a quarter of all."""
    count = len(differences)
    centred = differences - differences.mean()
    spread = float(centred @ centred)
    r = float(centred[1:] @ centred[:-1]) / spread if spread > 0 else 0.0
    if r <= 0:
        return 1
    r = min(r, 0.99)
    wanted = math.ceil((2 * r / (1 - r * r)) ** (2 / 3) * count ** (1 / 3))
    return int(max(1, min(wanted, count // 4)))
