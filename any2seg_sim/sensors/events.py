# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Event camera in the manner of ESIM (Rebecq et al., CoRL 2018): crossings of log-intensity thresholds.

Noise follows v2e (Hu et al., CVPRW 2021): thresholds differ from pixel to pixel, false events come the more often
the darker it is, and a few hot pixels never rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.frames import Events
from any2seg_core.projection.kernels import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.settings import DriveSettings

LOG_FLOOR: Final = 0.01
"""Added to the brightness before the logarithm, so that black has one."""
_DARK: Final = 0.1
"""Brightness at which false events are twice as frequent as in bright light."""
_HOT_SHARE: Final = 2e-5
_HOT_HZ: Final = 200.0


@dataclass(frozen=True)
class EventModel:
    """What an event camera is built for.

    Attributes:
        threshold: mean change of log intensity that makes an event.
        spread: standard deviation of the thresholds from pixel to pixel, as a share of their mean.
        refractory_ns: a pixel is deaf for so long after an event; what it crosses meanwhile is lost.
        noise_hz: false events per pixel and second in bright light; with 0 there are no hot pixels either.
    """

    threshold: float
    spread: float = 0.0
    refractory_ns: int = 0
    noise_hz: float = 0.0

    @staticmethod
    def of(settings: DriveSettings) -> EventModel:
        """Make the event camera of a drive."""
        refractory_ns = round(settings.event_refractory_s * 1e9)
        if not settings.noise:
            return EventModel(settings.event_threshold, refractory_ns=refractory_ns)
        return EventModel(settings.event_threshold, settings.event_spread, refractory_ns, settings.event_noise_hz)


@compiled
def _crossings(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    level: NDArray[np.float32],
    last_ns: NDArray[np.int64],
    rising: NDArray[np.float32],
    falling: NDArray[np.float32],
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
        step = rising[pixel] if change > 0.0 else -falling[pixel]
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
        model: what the camera is built for.
        pixels: draws what differs from pixel to pixel, the same for one camera all its life.
        noise: draws false events; and, with running, where the pixels stand.
        running: the camera has been on before the first image, so that every pixel stands anywhere between its
            thresholds; otherwise all start at the first image.

    Attributes:
        began_ns: stamp of the first image, 0 before it.
        rising, falling: (H * W,) float32 thresholds of events of either polarity, from the first image on.
    """

    began_ns: int = 0

    def __init__(
        self, model: EventModel, *, pixels: np.random.Generator, noise: np.random.Generator, running: bool = False
    ) -> None:
        self._model, self._pixels, self._noise, self._running = model, pixels, noise, running
        self._before: NDArray[np.float32] | None = None

    def see(self, brightness: NDArray[np.float32], stamp_ns: int) -> Events:
        """Take the next image (H, W) of linear brightness; give the events since the one before.

        The first image gives none. Time stamps lie in (stamp before, stamp].
        """
        height, width = brightness.shape
        now = np.log(brightness.reshape(-1) + np.float32(LOG_FLOOR)).astype(np.float32)
        if self._before is None:
            self._begin(now, stamp_ns)
            rows = np.empty((0, 3), np.int64)
        else:
            rows = np.concatenate([self._between(self._before, now, stamp_ns), self._false(brightness, stamp_ns)])
        self._before, self._stamp_ns = now, stamp_ns
        order = np.argsort(rows[:, 0], kind="stable")
        t_ns, pixel, polarity = rows[order].T
        x, y = (pixel % width).astype(np.uint16), (pixel // width).astype(np.uint16)
        return Events(x, y, polarity.astype(np.uint8), np.ascontiguousarray(t_ns), width, height)

    def _begin(self, now: NDArray[np.float32], stamp_ns: int) -> None:
        model = self._model
        factors = 1.0 + model.spread * np.clip(self._pixels.standard_normal((2, now.size), np.float32), -3, 3)
        self.rising, self.falling = np.asarray(model.threshold * factors, np.float32)
        self._rate_hz = np.full(now.size, model.noise_hz)
        if model.noise_hz > 0.0:
            self._rate_hz[self._pixels.random(now.size) < _HOT_SHARE] = _HOT_HZ
        self.began_ns = stamp_ns
        self._level = now.copy()
        if self._running:
            self._level += np.float32(0.999) * (
                self._noise.random(now.size, np.float32) * (self.rising + self.falling) - self.rising
            )
        self._last_ns = np.full(now.size, -(2**62), np.int64)

    def _between(self, before: NDArray[np.float32], now: NDArray[np.float32], stamp_ns: int) -> NDArray[np.int64]:
        # No more events than steps can happen, so the room is known in advance.
        room = int(np.sum(np.abs(now - self._level) / np.minimum(self.rising, self.falling) + 2.0))
        rows = np.empty((room, 3), np.int64)
        span = stamp_ns - self._stamp_ns
        state = (self._level, self._last_ns, self.rising, self.falling)
        found = _crossings(before, now, *state, self._stamp_ns, span, self._model.refractory_ns, rows)
        return rows[:found]

    def _false(self, brightness: NDArray[np.float32], stamp_ns: int) -> NDArray[np.int64]:
        """Draw false events; they leave the pixels where they stand."""
        if self._model.noise_hz == 0.0:
            return np.empty((0, 3), np.int64)
        span_ns = stamp_ns - self._stamp_ns
        dark = 1.0 + _DARK / (np.maximum(brightness.reshape(-1), 0.0) + LOG_FLOOR)
        pixel = np.repeat(np.arange(dark.size), self._noise.poisson(self._rate_hz * dark * span_ns * 1e-9))
        t_ns = self._stamp_ns + self._noise.integers(1, span_ns + 1, pixel.size)
        return np.stack([t_ns, pixel, self._noise.integers(0, 2, pixel.size)], 1)
