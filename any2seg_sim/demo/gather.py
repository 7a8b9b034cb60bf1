# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Puts what the node answered beside what the sensors saw and what was true, for the report."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from any2seg_core.frames import Events, Modality, Points, SensorFrame
from any2seg_core.projection.depth import depth_image
from any2seg_core.projection.events import event_stack
from any2seg_core.projection.lidar import lidar_image
from any2seg_ros.conversions import cloud_frame, depth_frame, image_frame
from any2seg_ros.event_codecs import EventReader
from any2seg_sim.demo.record import OutputRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from any2seg_sim.demo.play import PlayLog
    from any2seg_sim.rig import Rig

RECENT_S: Final = 0.5
"""How long a sensor's last frame is still shown beside an answer."""
_EVENT_WINDOW_NS: Final = 50_000_000


class Gallery:
    """The drive's frames by sensor and stamp, as pictures.

    Args:
        rig: intrinsics, and where the LiDAR stands.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        eye = rig.cameras[Modality.EVENT]
        events = EventReader(width=eye.width, height=eye.height)
        self._read: Mapping[Modality, Callable[[Any], SensorFrame]] = {
            Modality.RGB: lambda message: image_frame(message, Modality.RGB),
            Modality.DEPTH: depth_frame,
            Modality.EVENT: events.frame,
            Modality.LIDAR: cloud_frame,
        }
        self._pictures: dict[Modality, dict[int, NDArray[np.uint8]]] = defaultdict(dict)
        self._truth: dict[int, NDArray[np.uint8]] = {}

    def read(self, modality: Modality, message: Any) -> SensorFrame:
        """Give the frame in a sensor's message."""
        return self._read[modality](message)

    def add(self, frame: SensorFrame) -> None:
        """Keep the picture of a frame."""
        self._pictures[frame.modality][frame.stamp_ns] = self._picture(frame)

    def add_truth(self, stamp_ns: int, labels: NDArray[np.uint8]) -> None:
        """Keep the exact labels (H, W) of a moment."""
        self._truth[stamp_ns] = labels

    def views(self, latest: Mapping[Modality, int]) -> dict[Modality, NDArray[np.uint8]]:
        """Give the pictures of the given stamps."""
        return {modality: self._pictures[modality][stamp] for modality, stamp in latest.items()}

    def truth(self, stamp_ns: int, within_ns: int) -> NDArray[np.uint8] | None:
        """Give the exact labels nearest to a stamp, or None where none is near enough."""
        nearest = min(self._truth, key=lambda stamp: abs(stamp - stamp_ns), default=None)
        return self._truth[nearest] if nearest is not None and abs(nearest - stamp_ns) <= within_ns else None

    def _picture(self, frame: SensorFrame) -> NDArray[np.uint8]:
        data = frame.data
        if isinstance(data, Points):
            camera = self._rig.camera
            grey = lidar_image(data, self._rig.lidar_to_camera, camera, encoding="log", max_range_m=80.0, splat_px=1)
            seen = cv2.applyColorMap((grey[..., 0] * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
            return np.where(grey[..., :1] > 0, cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), np.uint8(0))
        if isinstance(data, Events):
            start = frame.end_ns - _EVENT_WINDOW_NS
            stack = event_stack(data, representation="polarity", start_ns=start, end_ns=frame.end_ns)
            return (stack * 255).astype(np.uint8)
        if data.ndim == 2:
            return (depth_image(data, encoding="log", min_depth_m=2.0, max_depth_m=80.0) * 255).astype(np.uint8)
        return np.array(data)


def output_records(log: PlayLog, gallery: Gallery, *, truth_within_ns: int, folder: Path) -> list[OutputRecord]:
    """Describe every answer, its label image written as PNG into a folder.

    Args:
        log: what was sent and heard.
        gallery: what the sensors saw.
        truth_within_ns: how far from an answer's stamp its truth may lie.
        folder: where the label images go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sent = {modality: _by_time(log, modality) for modality in {key[0] for key in log.sent_s}}
    records = []
    for stamp_ns, heard in sorted(log.heard.items(), key=lambda pair: pair[1].received_s):
        if heard.labels is None or heard.anchor is None or (heard.anchor, stamp_ns) not in log.sent_s:
            continue
        path = folder / f"{stamp_ns}.png"
        cv2.imwrite(str(path), heard.labels)
        records.append(
            OutputRecord(
                stamp_ns=stamp_ns,
                received_s=heard.received_s,
                latency_ms=1e3 * (heard.received_s - log.sent_s[heard.anchor, stamp_ns]),
                anchor=heard.anchor,
                used=heard.used,
                labels=path,
                truth=gallery.truth(stamp_ns, truth_within_ns),
                views=gallery.views(_latest(sent, heard.received_s)),
            )
        )
    return records


def _by_time(log: PlayLog, modality: Modality) -> list[tuple[float, int]]:
    return sorted((sent_s, stamp) for (other, stamp), sent_s in log.sent_s.items() if other is modality)


def _latest(sent: Mapping[Modality, Iterable[tuple[float, int]]], moment_s: float) -> dict[Modality, int]:
    """Find each sensor's last stamp sent before a moment, if it is recent."""
    found = {}
    for modality, times in sent.items():
        ordered = list(times)
        place = bisect_right(ordered, (moment_s, 2**63))
        if place and moment_s - ordered[place - 1][0] <= RECENT_S:
            found[modality] = ordered[place - 1][1]
    return found
