# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from TF where tf2_ros is installed; nowhere else does any2seg ask TF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rclpy.time import Time

from any2seg_ros import compat
from any2seg_ros.conversions import stamp_ns, transform_matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rclpy.node import Node


class TfLookup:
    """Asks TF for the transform at a stamp, or for the newest one if that is close enough.

    It never waits: what is not known yet counts against the frame that needs it, and the next frame asks again.

    Args:
        node: subscribes to /tf and /tf_static.
        tolerance_s: how far the newest transform may lie from the stamp.
    """

    def __init__(self, node: Node, tolerance_s: float) -> None:
        self._tf2 = compat.tf2_ros()
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._buffer: Any = None
        self._listener: Any = None
        if self._tf2 is not None:
            self._buffer = self._tf2.Buffer()
            self._listener = self._tf2.TransformListener(self._buffer, node)

    def __call__(self, target: str, source: str, stamp: int) -> NDArray[np.float64] | None:
        """Give the (4, 4) transform of source into target at a stamp in nanoseconds, or None.

        Raises:
            CalibrationError: TF holds a transform that is none.
        """
        exact, buffer = self.exact(target, source, stamp), self._buffer
        if exact is not None or buffer is None:
            return exact
        newest = self._transform(buffer, target, source, 0)
        if newest is None or abs(stamp - stamp_ns(newest.header)) > self._tolerance_ns:
            return None
        return transform_matrix(newest.transform)

    def exact(self, target: str, source: str, stamp: int) -> NDArray[np.float64] | None:
        """Give the (4, 4) transform at a stamp as TF interpolates it; None where TF does not reach so far.

        Raises:
            CalibrationError: TF holds a transform that is none.
        """
        found = None if self._buffer is None else self._transform(self._buffer, target, source, stamp)
        return None if found is None else transform_matrix(found.transform)

    def clear(self) -> None:
        """Forget all transforms, as after a jump of the clock."""
        if self._buffer is not None:
            self._buffer.clear()

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = self._buffer = None

    def _transform(self, buffer: Any, target: str, source: str, stamp: int) -> Any | None:
        try:
            return buffer.lookup_transform(target, source, Time(nanoseconds=stamp))
        except self._tf2.TransformException:  # type: ignore[union-attr]  # there is a buffer, so there is a module
            return None
