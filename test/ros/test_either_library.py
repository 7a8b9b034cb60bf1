# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the node takes from a ROS distribution's packages, or from stand-ins for them: the same tests for both.

The distribution's own run wherever they work, as on a robot; the name of each test says which it ran against.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import image_frame

EITHER = pytest.mark.parametrize("which", ["stand-in", "distribution"])


def distribution(module, name):
    """The real module, or a skip."""
    found = pytest.importorskip(module, reason=f"{module} comes with a ROS distribution", exc_type=Exception)
    if not hasattr(found, name):
        pytest.skip(f"{module} here is an empty folder")
    return found


@pytest.fixture
def filters(which):
    return compat if which == "stand-in" else distribution("message_filters", "SimpleFilter")


# message_filters


@EITHER
def test_filters_call_back_in_order_with_their_arguments(filters):
    heard = []
    source = filters.SimpleFilter()
    assert source.registerCallback(lambda *args: heard.append(("first", *args)), 1, 2) == 0
    assert source.registerCallback(lambda *args: heard.append(("second", *args))) == 1
    source.signalMessage("message")
    assert heard == [("first", "message", 1, 2), ("second", "message")]


class Recorder:
    """Notes how it is asked to subscribe."""

    def __init__(self):
        self.calls = []

    def create_subscription(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return SimpleNamespace(qos_profile="the profile", destroyed=False)


@EITHER
def test_a_subscriber_subscribes_and_passes_on(filters):
    node, heard = Recorder(), []
    subscriber = filters.Subscriber(node, int, "/camera", qos_profile="q", callback_group="g")
    (args, kwargs) = node.calls[0]
    assert args[:2] == (int, "/camera")
    assert kwargs["qos_profile"] == "q"
    assert kwargs["callback_group"] == "g"
    subscriber.registerCallback(heard.append)
    args[2]("message")
    assert heard == ["message"]
    assert (subscriber.getTopic(), subscriber.topic, subscriber.qos_profile) == ("/camera", "/camera", "the profile")
    assert subscriber.sub.qos_profile == "the profile"
    with pytest.raises(AttributeError):
        _ = subscriber.no_such_attribute


@EITHER
def test_a_subscriber_of_a_real_node_hears_what_is_published(filters, ros):
    messages = pytest.importorskip("std_msgs.msg")
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node

    node, heard = Node("either"), []
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        subscriber = filters.Subscriber(node, messages.Header, "/either/header", qos_profile=10)
        subscriber.registerCallback(lambda tag, message: heard.append((tag.frame_id, message)), "tag")
        publisher = node.create_publisher(messages.Header, "/either/header", 10)
        for _ in range(200):
            publisher.publish(messages.Header(frame_id="camera"))
            executor.spin_once(timeout_sec=0.05)
            if heard:
                break
        assert heard[0] == ("camera", "tag")
        node.destroy_subscription(subscriber.sub)
    finally:
        executor.shutdown()
        node.destroy_node()


def stamped(name, sec):
    time_class = pytest.importorskip("builtin_interfaces.msg").Time
    return SimpleNamespace(name=name, header=SimpleNamespace(stamp=time_class(sec=sec, nanosec=5)))


def at(sec, nanosec=5):
    return pytest.importorskip("rclpy.time").Time(seconds=sec, nanoseconds=nanosec, clock_type=clock_type())


def clock_type():
    return pytest.importorskip("rclpy.clock").ClockType.ROS_TIME


@EITHER
def test_a_cache_finds_messages_by_time(filters):
    source, heard = filters.SimpleFilter(), []
    cache = filters.Cache(source, cache_size=3)
    cache.registerCallback(heard.append)
    for message in (stamped(name, sec) for name, sec in (("a", 1), ("b", 2), ("c", 3), ("d", 4))):
        source.signalMessage(message)
    assert [message.name for message in heard] == ["a", "b", "c", "d"]
    assert (cache.getOldestTime(), cache.getLastestTime()) == (at(2), at(4))
    assert [message.name for message in cache.getInterval(at(2), at(3))] == ["b", "c"]
    assert cache.getInterval(at(2, 6), at(3, 4)) == []
    assert (cache.getElemAfterTime(at(3)).name, cache.getElemBeforeTime(at(3)).name) == ("c", "c")
    assert (cache.getElemAfterTime(at(3, 6)).name, cache.getElemBeforeTime(at(3, 4)).name) == ("d", "b")
    assert (cache.getElemAfterTime(at(5)), cache.getElemBeforeTime(at(1))) == (None, None)
    assert cache.getLast().name == "d"


@EITHER
def test_an_empty_cache_has_nothing(filters):
    cache = filters.Cache(filters.SimpleFilter())
    assert (cache.getLast(), cache.getOldestTime(), cache.getLastestTime()) == (None, None, None)


@EITHER
def test_a_cache_of_messages_without_header(filters):
    pytest.importorskip("rclpy")
    source = filters.SimpleFilter()
    strict, lenient = filters.Cache(source), filters.Cache(source, 2, allow_headerless=True)
    source.signalMessage("bare")
    assert strict.getLast() is None
    assert lenient.getLast() == "bare"
    assert lenient.getLastestTime().clock_type == clock_type()


# sensor_msgs_py


@pytest.fixture
def create_cloud(which):
    if which == "stand-in":
        return compat._create_cloud
    return distribution("sensor_msgs_py.point_cloud2", "create_cloud").create_cloud


@EITHER
def test_a_cloud_holds_the_records_as_its_fields_say(create_cloud):
    messages = pytest.importorskip("sensor_msgs.msg")
    headers = pytest.importorskip("std_msgs.msg")
    dtype = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("label", "u1"), ("confidence", "<f4"), ("rgb", "<u4")])
    records = np.zeros(3, dtype)
    records["x"], records["label"], records["rgb"] = [1.5, -2, np.inf], [0, 24, 255], [1, 2**24 - 1, 2**31]
    formats = {"<f4": 7, "|u1": 2, "<u4": 6}
    fields = [
        messages.PointField(name=name, offset=dtype.fields[name][1], datatype=formats[dtype[name].str], count=1)
        for name in dtype.names
    ]
    header = headers.Header(frame_id="lidar")
    header.stamp.sec = 7
    cloud = create_cloud(header, fields, records)
    assert (cloud.header.frame_id, cloud.header.stamp.sec) == ("lidar", 7)
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (1, 3, 21, 63)
    assert not cloud.is_bigendian
    assert [field.name for field in cloud.fields] == list(dtype.names)
    assert bytes(cloud.data) == records.tobytes()


# cv_bridge


@pytest.mark.parametrize("which", ["ours", "cv_bridge"])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_images_are_read_alike(which, encoding):
    channels = {"mono8": 1, "rgba8": 4, "bgra8": 4}.get(encoding, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)
    red = {"r": 0, "b": 2, "m": 0}[encoding[0]]
    expected = pixels[..., [red, min(1, channels - 1), 2 - red if channels > 1 else 0]]
    message = image_message(pixels, encoding)
    if which == "ours":
        found = image_frame(message, Modality.RGB).data
    elif compat.cv_bridge() is None:
        pytest.skip("cv_bridge, whose half is compiled, comes with a ROS distribution")
    else:
        found = compat.cv_bridge().CvBridge().imgmsg_to_cv2(message, desired_encoding="rgb8")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("which", ["cv_bridge", "rosbags-image"])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_pictures_keep_their_colours(which, pattern):
    """A picture of one colour, as its mosaic: whoever fills the gaps must find that colour again."""
    converter = compat.colour_converters().get(which)
    if converter is None:
        pytest.skip(f"{which} is not installed")
    colour = {"r": 200, "g": 120, "b": 40}
    cell = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    message = image_message(np.tile(cell, (4, 4))[..., None], f"bayer_{pattern}8")
    np.testing.assert_array_equal(image_frame(message, Modality.RGB).data, np.broadcast_to([200, 120, 40], (8, 8, 3)))
    found = np.asarray(converter(SimpleNamespace(**fields_of(message), rows=8)))
    np.testing.assert_array_equal(found, np.broadcast_to([200, 120, 40], (8, 8, 3)))


def image_message(pixels, encoding):
    message = pytest.importorskip("sensor_msgs.msg").Image()
    message.height, message.width = pixels.shape[:2]
    message.header.stamp.sec = 1
    message.encoding, message.step = encoding, pixels.shape[1] * pixels.shape[2]
    message.data = pixels.tobytes()
    return message


def fields_of(message):
    names = ("height", "width", "encoding", "is_bigendian", "step", "data")
    return {name: getattr(message, name) for name in names}


# All of them


def test_what_is_used_is_told():
    """The node's log and diagnostics name the packages that it found; these tests ran against the same."""
    report = compat.available()
    for package, name in {"message_filters": "Subscriber", "sensor_msgs_py.point_cloud2": "create_cloud"}.items():
        try:
            real = hasattr(importlib.import_module(package), name)
        except ImportError:
            real = False
        assert report[package.partition(".")[0]].startswith("distribution" if real else "stand-in")
