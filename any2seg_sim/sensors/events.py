# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Event camera in the manner of ESIM (Rebecq et al., CoRL 2018): crossings of log-intensity thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

from any2seg_core.frames import Events

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVENT_SPREAD: Final = 0.03
"""Standard deviation of the thresholds from pixel to pixel, as a share of their mean."""
LOG_FLOOR: Final = 0.01
"""Added to the brightness before the logarithm, so that black has one."""


@njit(cache=True)
def _crossings(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    level: NDArray[np.float32],
    last_ns: NDArray[np.int64],
    threshold: NDArray[np.float32],
    start_ns: int,
    span_ns: int,
    refractory_ns: int,
    out: NDArray[np.int64],
) -> int:
    """Write time, pixel and polarity of every event into rows of out, which must have room; return their number.

    The log intensity runs linearly from before to after. level is where the last crossing left a pixel; the
    caller keeps it and last_ns from call to call.
    """
    found = 0
    for pixel in range(len(before)):
        change = after[pixel] - before[pixel]
        if change == 0.0:
            continue
        sign = 1.0 if change > 0.0 else -1.0
        step = sign * threshold[pixel]
        while sign * (after[pixel] - level[pixel] - step) >= 0.0:
            level[pixel] += step
            share = min(max((level[pixel] - before[pixel]) / change, 0.0), 1.0)
            t_ns = start_ns + max(int(share * span_ns), 1)
            if t_ns - last_ns[pixel] < refractory_ns:
                continue
            last_ns[pixel] = t_ns
            out[found, 0], out[found, 1], out[found, 2] = t_ns, pixel, 1 if sign > 0.0 else 0
            found += 1
    return found


class EventCamera:
    """Turn a film of brightness into events.

    Args:
        threshold: mean change of log intensity that makes an event.
        spread: standard deviation of the threshold from pixel to pixel, as a share of it.
        refractory_ns: a pixel is deaf for so long after an event; what it crosses meanwhile is lost.
        rng: draws the thresholds.

    Attributes:
        began_ns: stamp of the first image, 0 before it.
        thresholds: (H * W,) float32, one per pixel, from the first image on.
    """

    began_ns: int = 0

    def __init__(
        self, *, threshold: float, rng: np.random.Generator, spread: float = EVENT_SPREAD, refractory_ns: int = 50_000
    ) -> None:
        self._threshold, self._spread, self._refractory_ns, self._rng = threshold, spread, refractory_ns, rng
        self._before: NDArray[np.float32] | None = None

    def see(self, brightness: NDArray[np.float32], stamp_ns: int) -> Events:
        """Take the next image (H, W) of linear brightness; give the events since the one before.

        The first image gives none. Time stamps lie in (stamp before, stamp].
        """
        height, width = brightness.shape
        now = np.log(brightness.reshape(-1) + np.float32(LOG_FLOOR)).astype(np.float32)
        before = self._before
        if before is None:
            factor = 1.0 + self._spread * np.clip(self._rng.standard_normal(now.size, np.float32), -3, 3)
            self.thresholds = np.asarray(self._threshold * factor, np.float32)
            self.began_ns = stamp_ns
            self._level = now.copy()
            self._last_ns = np.full(now.size, -(2**62), np.int64)
            rows = np.empty((0, 3), np.int64)
        else:
            rows = self._between(before, now, stamp_ns)
        self._before, self._stamp_ns = now, stamp_ns
        order = np.argsort(rows[:, 0], kind="stable")
        t_ns, pixel, polarity = rows[order].T
        x, y = (pixel % width).astype(np.uint16), (pixel // width).astype(np.uint16)
        return Events(x, y, polarity.astype(np.uint8), np.ascontiguousarray(t_ns), width, height)

    def _between(self, before: NDArray[np.float32], now: NDArray[np.float32], stamp_ns: int) -> NDArray[np.int64]:
        # No more events than steps can happen, so the room is known in advance.
        room = int(np.sum(np.abs(now - self._level) / self.thresholds + 2.0))
        rows = np.empty((room, 3), np.int64)
        span = stamp_ns - self._stamp_ns
        state = (self._level, self._last_ns, self.thresholds)
        found = _crossings(before, now, *state, self._stamp_ns, span, self._refractory_ns, rows)
        return rows[:found]
