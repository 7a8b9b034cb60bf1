# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a node that was heard while a bag was played: missed frames, latency, rates, labels.

Names and definitions of the performance figures are those of NVIDIA's ros2_benchmark (BasicPerformanceMetrics,
https://github.com/NVIDIA-ISAAC-ROS/ros2_benchmark), so its tools read them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import UNLABELLED, ClassTable
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_ros.conversions import stamp_ns
from any2seg_ros.conversions.buffers import byte_view, strided_view

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PREFIX: Final = "BasicPerformanceMetrics."
_WAITING: Final = 64
"""So many label images wait at most for their truth, and the other way round."""
_ID_IMAGES: Final = ("mono8", "8UC1")


def performance(sent_ns: Mapping[int, int], received_ns: Mapping[int, int]) -> dict[str, float]:
    """Work out ros2_benchmark's basic figures; those that too few frames leave undefined are left out.

    Args:
        sent_ns: arrival of each message of the input by its stamp, in order, nanoseconds on a steady clock.
        received_ns: arrival of the labels by the same stamps, on the same clock.
    """
    arrivals = np.array(list(received_ns.values()), np.int64) / 1e6
    starts = np.array(list(sent_ns.values()), np.int64) / 1e6
    latencies = latencies_ms(sent_ns, received_ns)
    found: dict[str, float] = {
        "NUM_FRAMES_SENT": len(starts),
        "NUM_MISSED_FRAMES": sum(stamp not in received_ns for stamp in sent_ns),
    }
    if len(starts) > 1 and starts[-1] > starts[0]:
        found["MEAN_PLAYBACK_FRAME_RATE"] = len(starts) / ((starts[-1] - starts[0]) / 1000)
    if len(arrivals) > 1 and arrivals[-1] > arrivals[0]:
        found["RECEIVED_DURATION"] = arrivals[-1] - arrivals[0]
        found["MEAN_FRAME_RATE"] = len(arrivals) / ((arrivals[-1] - arrivals[0]) / 1000)
    if len(arrivals) and len(starts):
        found["FIRST_SENT_RECEIVED_LATENCY"] = arrivals[0] - starts[0]
        found["LAST_SENT_RECEIVED_LATENCY"] = arrivals[-1] - starts[-1]
    if latencies.size:
        found |= {"FIRST_INPUT_LATENCY": latencies[0], "LAST_INPUT_LATENCY": latencies[-1]}
        found |= spread("LATENCY", latencies)
    if len(arrivals) > 2:
        jitters = np.abs(np.diff(arrivals, 2))
        found |= {**spread("JITTER", jitters), "STD_DEV_JITTER": float(jitters.std())}
    return {PREFIX + name: value if isinstance(value, int) else float(value) for name, value in found.items()}


def spread(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    """Give the greatest, the least and the mean of values under their names."""
    return {
        f"MAX_{name}": float(np.max(values)),
        f"MIN_{name}": float(np.min(values)),
        f"MEAN_{name}": float(np.mean(values)),
    }


def latencies_ms(sent_ns: Mapping[int, int], received_ns: Mapping[int, int]) -> NDArray[np.float64]:
    """Time from the arrival of the input to that of the labels of its stamp, (N,) milliseconds."""
    return np.array([(received_ns[stamp] - at) / 1e6 for stamp, at in sent_ns.items() if stamp in received_ns], float)


class OnlineScores:
    """Compares label images with truth of the same stamp, whichever comes first.

    Attributes:
        compared: pairs that were counted.
        refused: pairs that could not be compared, by reason.
    """

    def __init__(self) -> None:
        ids = range(UNLABELLED - 1)
        table = ClassTable(tuple(map(str, ids)), np.zeros((len(ids), 3), np.uint8))
        self.compared = 0
        self.refused: Counter[str] = Counter()
        self._matrix = ConfusionMatrix(table)
        self._waiting: dict[str, dict[int, NDArray[np.uint8]]] = {"labels": {}, "truth": {}}

    def add(self, side: str, message: Any) -> None:
        """Take an image of "labels" or of "truth"; a pair is counted once both are there."""
        try:
            stamp, ids = stamp_ns(message.header), label_ids(message)
            other = self._waiting["truth" if side == "labels" else "labels"].pop(stamp, None)
            if other is None:
                self._wait(side, stamp, ids)
                return
            labels, truth = (ids, other) if side == "labels" else (other, ids)
            self._matrix.update(labels, truth)
            self.compared += 1
        except FrameError as error:
            self.refused[str(error)] += 1

    def to_json(self) -> dict[str, Any]:
        """Give the scores by class id; means are over the ids that occur."""
        means = {"miou": self._matrix.miou, "f1": self._matrix.mf1, "acc": self._matrix.macc}
        iou = self._matrix.iou()
        return {
            "compared": self.compared,
            "refused": dict(self.refused),
            **{name: _number(mean(AbsentClasses.PRESENT)) for name, mean in means.items()},
            "pixel_acc": _number(self._matrix.pixel_accuracy()),
            "iou": {str(k): float(iou[k]) for k in np.flatnonzero(~np.isnan(iou))},
        }

    def _wait(self, side: str, stamp: int, ids: NDArray[np.uint8]) -> None:
        waiting = self._waiting[side]
        waiting[stamp] = ids
        if len(waiting) > _WAITING:
            del waiting[next(iter(waiting))]


def label_ids(message: Any) -> NDArray[np.uint8]:
    """Read a label image as (H, W) uint8 class ids.

    Raises:
        FrameError: not one byte per pixel, or less data than its size says.
    """
    if message.encoding not in _ID_IMAGES:
        msg = f"labels: found encoding {message.encoding!r}, expected one of {', '.join(_ID_IMAGES)}"
        raise FrameError(msg)
    shape, step = (message.height, message.width), message.step
    if not 0 < message.width <= step or not message.height:
        msg = f"labels: found {shape[1]} x {shape[0]} pixels in rows of {step} bytes, expected an image"
        raise FrameError(msg)
    # A copy: it waits for its truth longer than the message lives.
    return strided_view(byte_view(message.data), shape, np.dtype(np.uint8), (step, 1), "labels").copy()


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
