# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""TF for trials: one static mount whose transforms may be missing or late, with tf2_ros' calls.

Plain installs of rclpy have no tf2_ros. The stand-in is found where a distribution's package would be, so the node
takes the same way to it.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import Any2SegError
from any2seg_ros import compat
from any2seg_ros.conversions import stamp_fields
from any2seg_ros.conversions.geometry import quaternion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from any2seg_sim.rig import Rig

_MODULE: Final = "tf2_ros"


class TransformError(Any2SegError, LookupError):
    """The transform is not known, or not at that time."""


class Mount:
    """Where the LiDAR stands, as TF tells it.

    Attributes:
        known: whether TF knows at all.
        late_s: how far TF lags behind the present.
    """

    def __init__(self, rig: Rig) -> None:
        self.known, self.late_s = True, 0.0
        pose = rig.lidar_to_camera
        x, y, z = (float(value) for value in pose[:3, 3])
        self._transform = SimpleNamespace(
            translation=SimpleNamespace(x=x, y=y, z=z), rotation=SimpleNamespace(**quaternion(pose[:3, :3]))
        )

    def mend(self) -> None:
        """Make all known and in time."""
        self.known, self.late_s = True, 0.0

    def look_up(self, source: str, stamp_ns: int) -> Any:
        """Give the transform of the LiDAR at a stamp, 0 for the newest.

        Raises:
            TransformError: it is not known.
        """
        newest_ns = time.time_ns() - round(self.late_s * 1e9)
        if not self.known or "lidar" not in source or stamp_ns > newest_ns:
            msg = f"no transform from {source!r} at {stamp_ns} ns"
            raise TransformError(msg)
        sec, nanosec = stamp_fields(stamp_ns or newest_ns)
        header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
        return SimpleNamespace(header=header, transform=self._transform)


@contextmanager
def tf_of(mount: Mount) -> Iterator[None]:
    """Let nodes that are configured meanwhile find a tf2_ros that knows this mount alone."""

    class Buffer:
        def lookup_transform(self, _target: str, source: str, at: Any) -> Any:
            return mount.look_up(source, at.nanoseconds)

        def clear(self) -> None:
            pass

    class TransformListener:
        def __init__(self, *_: Any) -> None:
            pass

        def unregister(self) -> None:
            pass

    module = ModuleType(_MODULE)
    vars(module).update(Buffer=Buffer, TransformListener=TransformListener, TransformException=TransformError)
    before = sys.modules.get(_MODULE)
    sys.modules[_MODULE] = module
    compat.tf2_ros.cache_clear()
    try:
        yield
    finally:
        del sys.modules[_MODULE]
        if before is not None:
            sys.modules[_MODULE] = before
        compat.tf2_ros.cache_clear()
