# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Labels written back as a recording, beside which the original can be played."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore

from any2seg_ros.conversions import image_fields, make
from any2seg_ros.replay.bags import ROS2_STORE

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

    from any2seg_core.frames import LabelMap

LABELS_TOPIC: Final = "/segmentation_node/labels"


class LabelBag:
    """A rosbag2 (MCAP) of label images under the node's own topic; it takes its name when it is whole.

    Args:
        path: folder; replaced if it is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.unfinished")
        self._store = get_typestore(ROS2_STORE)
        self._writer: Any = None
        self._connection: Any = None

    def __enter__(self) -> Self:
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._unfinished.mkdir(parents=True)
        self._writer = Writer(self._unfinished / self._path.name, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connection = self._writer.add_connection(LABELS_TOPIC, "sensor_msgs/msg/Image", typestore=self._store)
        return self

    def add(self, labels: LabelMap, log_ns: int) -> None:
        """Write a label image at the time at which it was due."""
        fields = image_fields(labels.labels, "mono8", stamp_ns=labels.stamp_ns, frame_id=labels.frame_id)
        message = make(fields, self._store.types.__getitem__)
        self._writer.write(self._connection, log_ns, bytes(self._store.serialize_cdr(message, fields.type)))

    def __exit__(self, kind: object, *_: object) -> None:
        self._writer.close()
        if kind is None:
            shutil.rmtree(self._path, ignore_errors=True)
            (self._unfinished / self._path.name).rename(self._path)
        shutil.rmtree(self._unfinished, ignore_errors=True)
