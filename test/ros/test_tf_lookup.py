# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms asked of tf2_ros, which a stand-in with its calls plays here: tf2_ros itself is not on PyPI."""

from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.errors import CalibrationError
from any2seg_ros import compat

STAMP = 1_700_000_000_000_000_000
TOLERANCE_S = 0.2


class TransformException(Exception):  # noqa: N818  tf2_py's name
    pass


class ExtrapolationException(TransformException):
    pass


def transform(x, stamp_ns, w=1.0):
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    body = SimpleNamespace(
        translation=SimpleNamespace(x=x, y=0.0, z=0.0), rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=w)
    )
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), transform=body)


class Buffer:
    """Transforms of one pair of frames by stamp; static ones hold at all times, as in tf2."""

    def __init__(self):
        self.static, self.stamped, self.cleared = None, {}, 0

    def lookup_transform(self, target, source, time):
        if (target, source) != ("camera", "lidar"):
            raise TransformException(source)
        if self.static is not None:
            return self.static
        if not self.stamped:
            raise TransformException("no data")
        if time.nanoseconds == 0:
            return self.stamped[max(self.stamped)]
        if time.nanoseconds not in self.stamped:
            raise ExtrapolationException("into the future")
        return self.stamped[time.nanoseconds]

    def clear(self):
        self.cleared += 1
        self.stamped.clear()


class TransformListener:
    def __init__(self, buffer, node):
        self.buffer, self.node, self.listening = buffer, node, True

    def unregister(self):
        self.listening = False


@pytest.fixture
def lookup(monkeypatch):
    pytest.importorskip("rclpy")
    from any2seg_ros.tf_lookup import TfLookup

    module = SimpleNamespace(Buffer=Buffer, TransformListener=TransformListener, TransformException=TransformException)
    monkeypatch.setattr(compat, "tf2_ros", lambda: module)
    return TfLookup("the node", TOLERANCE_S)


def place(found):
    return None if found is None else float(found[0, 3])


def test_it_listens_with_the_node(lookup):
    assert lookup._listener.node == "the node"
    assert lookup._listener.buffer is lookup._buffer


def test_a_static_transform_serves_any_stamp(lookup):
    lookup._buffer.static = transform(1.5, 0)
    found = lookup("camera", "lidar", STAMP)
    expected = np.eye(4)
    expected[0, 3] = 1.5
    np.testing.assert_array_equal(found, expected)


def test_the_transform_of_the_very_stamp_is_preferred_to_a_newer_one(lookup):
    lookup._buffer.stamped = {STAMP: transform(1.0, STAMP), STAMP + 1: transform(2.0, STAMP + 1)}
    assert place(lookup("camera", "lidar", STAMP)) == 1.0


@pytest.mark.parametrize(
    ("distance_ns", "expected"),
    [(199_999_999, 3.0), (200_000_000, 3.0), (200_000_001, None), (-200_000_000, 3.0), (-200_000_001, None)],
)
def test_the_newest_transform_stands_in_up_to_the_tolerance(lookup, distance_ns, expected):
    newest_ns = STAMP - distance_ns
    lookup._buffer.stamped = {newest_ns: transform(3.0, newest_ns)}
    assert place(lookup("camera", "lidar", STAMP)) == expected


def test_exactly_means_that_nothing_stands_in(lookup):
    lookup._buffer.stamped = {STAMP: transform(3.0, STAMP)}
    assert place(lookup.exact("camera", "lidar", STAMP)) == 3.0
    assert place(lookup("camera", "lidar", STAMP + 1)) == 3.0
    assert lookup.exact("camera", "lidar", STAMP + 1) is None


def test_unknown_frames_and_an_empty_buffer_give_none_and_never_wait(lookup):
    assert lookup("camera", "lidar", STAMP) is None
    assert lookup("camera", "radar", STAMP) is None


def test_a_transform_that_is_none_is_refused(lookup):
    lookup._buffer.static = transform(1.0, 0, w=0.0)
    with pytest.raises(CalibrationError, match=r"seven finite numbers"):
        lookup("camera", "lidar", STAMP)


def test_clear_forgets_and_close_stops_listening(lookup):
    buffer, listener = lookup._buffer, lookup._listener
    lookup.clear()
    assert buffer.cleared == 1
    lookup.close()
    assert not listener.listening
    assert lookup("camera", "lidar", STAMP) is None
    lookup.clear()
    lookup.close()
    assert buffer.cleared == 1


def test_without_tf2_ros_nothing_is_known(monkeypatch):
    pytest.importorskip("rclpy")
    from any2seg_ros.tf_lookup import TfLookup

    monkeypatch.setattr(compat, "tf2_ros", lambda: None)
    lookup = TfLookup("the node", TOLERANCE_S)
    assert lookup("camera", "lidar", STAMP) is None
    assert lookup.exact("camera", "lidar", STAMP) is None
    lookup.clear()
    lookup.close()
