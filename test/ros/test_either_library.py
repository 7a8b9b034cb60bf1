# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One set of tests for the distribution's message_filters, sensor_msgs_py and cv_bridge, and for their stand-ins.

Each test's name says which it ran against; the distribution's is skipped where it is not installed.
"""

from __future__ import annotations

import importlib.util
import time
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import cloud_columns, header_fields, image_frame, make
from any2seg_ros.time_synchronizer import DropTolerantTimeSynchronizer

STAND_IN, DISTRIBUTION = "stand-in", "distribution"


def distribution(module, *names):
    found = pytest.importorskip(
        module, reason=f"{module} is not installed: only its stand-in was tried", exc_type=ImportError
    )
    if not all(hasattr(found, name) for name in names):
        pytest.skip(f"{module} is not the real one: only its stand-in was tried")
    return found


@pytest.fixture(params=[STAND_IN, DISTRIBUTION])
def filters(request):
    if request.param == DISTRIBUTION:
        return distribution("message_filters", "SimpleFilter", "Subscriber", "Cache")
    return SimpleNamespace(SimpleFilter=compat.SimpleFilter, Subscriber=compat.Subscriber, Cache=compat.Cache)


def test_filters_call_back_in_order_with_their_arguments(filters):
    heard = []
    source = filters.SimpleFilter()
    assert source.registerCallback(lambda *args: heard.append(("first", *args)), 1, 2) == 0
    assert source.registerCallback(lambda *args: heard.append(("second", *args))) == 1
    source.signalMessage("message")
    assert heard == [("first", "message", 1, 2), ("second", "message")]


class FakeNode:
    def __init__(self):
        self.calls = []

    def create_subscription(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return SimpleNamespace(qos_profile="the profile", destroyed=False)


def test_a_subscriber_subscribes_and_passes_on(filters):
    node, heard = FakeNode(), []
    subscriber = filters.Subscriber(node, int, "/camera", qos_profile="q", callback_group="g")
    (args, kwargs) = node.calls[0]
    assert args == (int, "/camera", subscriber.callback)
    assert kwargs == {"qos_profile": "q", "callback_group": "g"}
    subscriber.registerCallback(heard.append)
    args[2]("message")
    assert heard == ["message"]
    assert (subscriber.getTopic(), subscriber.topic, subscriber.qos_profile) == ("/camera", "/camera", "the profile")
    with pytest.raises(AttributeError):
        _ = subscriber.no_such_attribute
    filters.Subscriber(node, int, "/camera")
    assert node.calls[1][1] == {"qos_profile": 10}


def stamped(name, sec):
    time_class = pytest.importorskip("builtin_interfaces.msg").Time
    return SimpleNamespace(name=name, header=SimpleNamespace(stamp=time_class(sec=sec, nanosec=5)))


def at(sec, nanosec=5):
    return pytest.importorskip("rclpy.time").Time(seconds=sec, nanoseconds=nanosec, clock_type=clock_type())


def clock_type():
    return pytest.importorskip("rclpy.clock").ClockType.ROS_TIME


def test_a_cache_finds_messages_by_time(filters):
    source, heard = filters.SimpleFilter(), []
    cache = filters.Cache(source, cache_size=3)
    cache.registerCallback(heard.append)
    assert (cache.getLast(), cache.getOldestTime(), cache.getLastestTime()) == (None, None, None)
    messages = [stamped(name, sec) for name, sec in (("a", 1), ("b", 2), ("c", 3), ("d", 4))]
    for message in messages:
        source.signalMessage(message)
    assert [message.name for message in heard] == ["a", "b", "c", "d"]
    assert (cache.getOldestTime(), cache.getLastestTime()) == (at(2), at(4))
    assert [message.name for message in cache.getInterval(at(2), at(3))] == ["b", "c"]
    assert cache.getInterval(at(2, 6), at(3, 4)) == []
    assert (cache.getElemAfterTime(at(3)).name, cache.getElemBeforeTime(at(3)).name) == ("c", "c")
    assert (cache.getElemAfterTime(at(3, 6)).name, cache.getElemBeforeTime(at(3, 4)).name) == ("d", "b")
    assert (cache.getElemAfterTime(at(5)), cache.getElemBeforeTime(at(1))) == (None, None)
    assert cache.getLast().name == "d"


def test_a_cache_of_messages_without_header(filters):
    pytest.importorskip("rclpy")
    source = filters.SimpleFilter()
    strict, lenient = filters.Cache(source), filters.Cache(source, 2, allow_headerless=True)
    source.signalMessage("bare")
    assert strict.getLast() is None
    assert lenient.getLast() == "bare"
    assert lenient.getLastestTime().clock_type == clock_type()


def test_a_cache_takes_rclpy_times_as_stamps(filters):
    source = filters.SimpleFilter()
    cache = filters.Cache(source)
    message = SimpleNamespace(header=SimpleNamespace(stamp=at(7)))
    source.signalMessage(message)
    assert cache.getElemAfterTime(at(7)) is message


def test_the_drop_tolerant_synchronizer_stands_behind_subscribers_and_caches_over_dds(filters, stage):
    """What the other class does with message_filters' own synchronizer: real subscriptions, and one input missing."""
    robot = stage.robot()
    image, cloud = (compat.message_class(f"sensor_msgs/msg/{name}") for name in ("Image", "PointCloud2"))
    sources = [
        filters.Subscriber(robot.node, image, "rgb/image", qos_profile=10),
        filters.Cache(filters.Subscriber(robot.node, cloud, "lidar/points", qos_profile=10), 5),
        filters.Subscriber(robot.node, image, "depth/image", qos_profile=10),
    ]
    sync, sets = DropTolerantTimeSynchronizer(sources, 10, 0.02), []
    sync.registerCallback(lambda *messages: sets.append(tuple(message is not None for message in messages)))
    assert robot.wait(lambda: all(port.get_subscription_count() for port in (robot.ports[m] for m in SENDING)))
    assert robot.drive_until(lambda: sync.poll() or sets.count((True, True, False)) >= 3, SENDING)


SENDING = (Modality.LIDAR, Modality.RGB)


@pytest.mark.parametrize("kind", [STAND_IN, DISTRIBUTION])
def test_a_node_answers_alike_behind_either_subscriber(kind, stage, monkeypatch):
    if kind == DISTRIBUTION:
        monkeypatch.setattr(compat, "message_filters", lambda: distribution("message_filters", "Subscriber"))
    else:
        stand_in = SimpleNamespace(SimpleFilter=compat.SimpleFilter, Subscriber=compat.Subscriber, Cache=compat.Cache)
        monkeypatch.setattr(compat, "message_filters", lambda: stand_in)
    node, robot = stage.segmentation_node(), stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.DEPTH].get_subscription_count())
    robot.send_camera_infos()
    time.sleep(0.2)
    everything = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
    assert robot.drive_until(lambda: any(used == "rgb+depth+event+lidar" for used, _ in robot.used_sets()), everything)
    assert robot.drive_until(lambda: robot.used_sets()[-1][0] == "depth+event+lidar", everything[1:])


@pytest.fixture(params=[STAND_IN, DISTRIBUTION])
def create_cloud(request):
    if request.param == DISTRIBUTION:
        return distribution("sensor_msgs_py.point_cloud2", "create_cloud").create_cloud
    return compat._create_cloud


def test_clouds_of_records_are_made_alike(create_cloud):
    records = np.zeros(3, [("x", "<f4"), ("label", "u1"), ("rgb", "<f4")])
    records["x"], records["label"], records["rgb"] = [1.5, -2.5, np.nan], [3, 255, 0], 7.0
    field = compat.message_class("sensor_msgs/msg/PointField")
    fields = [field(name=n, offset=o, datatype=d, count=1) for n, o, d in (("x", 0, 7), ("label", 4, 2), ("rgb", 5, 7))]
    message = create_cloud(make(header_fields(5, "lidar"), compat.message_class), fields, records)
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 3, 9, 27)
    assert (message.header.frame_id, bool(message.is_bigendian)) == ("lidar", False)
    assert bytes(message.data) == records.tobytes()
    columns = cloud_columns(message, ["x", "label", "rgb"])
    np.testing.assert_array_equal(columns["x"], records["x"])
    assert columns["label"].tolist() == [3, 255, 0]


@pytest.mark.parametrize("kind", ["cv_bridge", "rosbags-image"])
@pytest.mark.parametrize("encoding", ["bayer_rggb8", "uyvy"])
def test_mosaics_are_decoded_alike(kind, encoding, monkeypatch):
    converter = compat.colour_converters().get(kind)
    if converter is None:
        pytest.skip(f"{kind} is not installed, or does not get along with this NumPy")
    monkeypatch.setattr(compat, "colour_converters", lambda: {kind: converter})
    wide = 1 if encoding == "bayer_rggb8" else 2
    grey = np.full((4, 4 * wide), 128, np.uint8)
    message = SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id="c"), height=4, width=4,
        encoding=encoding, is_bigendian=0, step=4 * wide, data=grey.tobytes(),
    )  # fmt: skip
    pixels = image_frame(message, Modality.RGB).data.astype(int)
    assert pixels.shape == (4, 4, 3)
    assert np.ptp(pixels) <= 2
    assert abs(pixels.mean() - 130) < 6


@pytest.mark.parametrize("name", ["message_filters", "sensor_msgs_py"])
def test_the_report_tells_which_is_used(name):
    installed = importlib.util.find_spec(name) is not None
    assert compat.available()[name].startswith(DISTRIBUTION if installed else STAND_IN)
