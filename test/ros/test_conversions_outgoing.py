# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages made from core types: right in every field, for both libraries, and readable again."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.errors import FrameError
from any2seg_core.frames import DELIVER_CLASSES, CameraModel, Modality, Points
from any2seg_ros import compat
from any2seg_ros.conversions import (
    camera_info_fields,
    camera_model,
    cloud_columns,
    cloud_fields,
    cloud_frame,
    columns_fields,
    depth_frame,
    fill_image,
    fill_label_info,
    image_fields,
    image_frame,
    make,
)


@pytest.fixture(scope="module", params=["rclpy", "rosbags"])
def types(request):
    if request.param == "rclpy":
        pytest.importorskip("sensor_msgs.msg")
        return compat.message_class
    typestore = get_typestore(Stores.LATEST)
    return lambda name: typestore.types[name]


ROUND_TRIPS = [("rgb8", np.uint8, 3), ("bgr8", np.uint8, 3), ("rgba8", np.uint8, 4), ("mono8", np.uint8, 1)]


@pytest.mark.parametrize(("encoding", "dtype", "channels"), ROUND_TRIPS)
def test_colour_round_trips(types, encoding, dtype, channels):
    pixels = np.arange(2 * 3 * channels, dtype=dtype).reshape((2, 3, channels) if channels > 1 else (2, 3))
    message = make(image_fields(pixels, encoding, stamp_ns=12_000_000_034, frame_id="camera"), types)
    assert (message.height, message.width, message.encoding, message.step) == (2, 3, encoding, 3 * channels)
    frame = image_frame(message, Modality.NIR)
    expected = np.repeat(pixels[..., None], 3, axis=2) if channels == 1 else pixels[..., :3]
    np.testing.assert_array_equal(frame.data, expected[..., ::-1] if encoding == "bgr8" else expected)
    assert (frame.stamp_ns, frame.frame_id, frame.modality) == (12_000_000_034, "camera", Modality.NIR)


def test_depth_round_trips(types):
    metres = np.array([[0.5, np.nan], [2.25, 65.0]], np.float32)
    message = make(image_fields(metres, "32FC1", stamp_ns=1, frame_id="depth"), types)
    np.testing.assert_array_equal(depth_frame(message).data, metres)
    millimetres = np.array([[500, 0]], ">u2")
    message = make(image_fields(millimetres, "16UC1", stamp_ns=1, frame_id="depth"), types)
    np.testing.assert_array_equal(depth_frame(message).data, np.array([[0.5, np.nan]], np.float32))


def test_strided_and_read_only_pixels_are_packed(types):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)[::2, ::-1]
    pixels.flags.writeable = False
    message = make(image_fields(pixels, "rgb8", stamp_ns=1, frame_id="c"), types)
    np.testing.assert_array_equal(image_frame(message, Modality.RGB).data, pixels)


def test_fill_image_gives_rclpy_what_it_wants():
    image_class = pytest.importorskip("sensor_msgs.msg").Image
    message = image_class()
    labels = np.array([[1, 255], [0, 24]], np.uint8)
    fill_image(message, labels, "mono8", stamp_ns=3_000_000_004, frame_id="camera")
    assert message.data == array.array("B", [1, 255, 0, 24])
    assert (message.height, message.width, message.step, message.is_bigendian) == (2, 2, 2, 0)
    assert (message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id) == (3, 4, "camera")
    fill_image(message, np.array([[0.5]], np.float32), "32FC1", stamp_ns=0, frame_id="other")
    assert np.frombuffer(message.data, np.float32).tolist() == [0.5]
    assert message.encoding == "32FC1"


@pytest.mark.parametrize(
    ("pixels", "encoding", "message"),
    [
        (np.zeros((2, 2), np.uint8), "yuv", r"found encoding 'yuv', expected one of mono8"),
        (np.zeros((2, 2), np.int64), "mono8", r"found int64 \(2, 2\) for mono8, expected uint8 \(H, W\); convert"),
        (np.zeros((2, 2), np.uint8), "rgb8", r"found uint8 \(2, 2\) for rgb8, expected uint8 \(H, W, 3\)"),
        (np.zeros((2, 2, 3), np.uint8), "mono8", r"for mono8, expected uint8 \(H, W\)"),
        (np.zeros((0, 2), np.float32), "32FC1", r"found float32 \(0, 2\)"),
        (np.zeros(4, np.uint8), "mono8", r"found uint8 \(4,\)"),
        (np.zeros((2, 2), np.float64), "32FC1", r"found float64"),
    ],
)
def test_what_is_no_image_to_publish(pixels, encoding, message):
    with pytest.raises(FrameError, match=message):
        image_fields(pixels, encoding, stamp_ns=0, frame_id="")


def test_clouds_round_trip_with_their_extra_columns(types):
    points = Points(np.array([[1, 2, 3], [4, 5, 6.5]], np.float32), np.array([0.25, 9], np.float32))
    extra = {"ring": np.array([3, 31], np.uint16), "label": np.array([7, 255], np.uint8), "t": np.array([0.1, 0.2])}
    message = make(cloud_fields(points, stamp_ns=44, frame_id="lidar", extra=extra), types)
    frame = cloud_frame(message)
    np.testing.assert_array_equal(frame.data.xyz, points.xyz)
    np.testing.assert_array_equal(frame.data.intensity, points.intensity)
    assert (frame.stamp_ns, frame.frame_id) == (44, "lidar")
    columns = cloud_columns(message, ["ring", "label", "t"])
    assert {name: column.tolist() for name, column in columns.items()} == {n: c.tolist() for n, c in extra.items()}
    assert (message.point_step, message.row_step, message.height, message.width) == (27, 54, 1, 2)
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields][3:5] == [
        ("intensity", 12, 7, 1), ("ring", 16, 4, 1),
    ]  # fmt: skip


def test_an_empty_cloud_can_be_written(types):
    points = Points(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    message = make(cloud_fields(points, stamp_ns=0, frame_id="lidar"), types)
    assert (message.width, len(message.data)) == (0, 0)


def test_columns_that_make_no_cloud():
    one, two = np.zeros(1, np.float32), np.zeros(2, np.float32)
    with pytest.raises(FrameError, match=r"found x float32 \(1,\), y float32 \(2,\), expected columns of one length"):
        columns_fields({"x": one, "y": two}, stamp_ns=0, frame_id="")
    with pytest.raises(FrameError, match=r"found x int64 \(1,\), expected .* types i1, u1"):
        columns_fields({"x": one.astype(np.int64)}, stamp_ns=0, frame_id="")


@given(st.lists(st.floats(width=64, allow_nan=False), min_size=0, max_size=8), st.integers(1, 5000))
@settings(max_examples=30, deadline=None)
def test_camera_info_keeps_distortion_and_size(types, d, width):
    camera = CameraModel(width, 7, np.diag([1.5, 2.5, 1]), "rational_polynomial", np.array(d), frame_id="optical")
    message = make(camera_info_fields(camera, stamp_ns=5), types)
    back = camera_model(message)
    assert (back.width, back.height, back.frame_id, back.d.tolist()) == (width, 7, "optical", d)
    np.testing.assert_array_equal(back.k, camera.k)
    np.testing.assert_array_equal(back.p, np.hstack([camera.k, np.zeros((3, 1))]))
    assert make(camera_info_fields(camera, stamp_ns=5, frame_id="else"), types).header.frame_id == "else"


def test_made_messages_can_be_sent():
    pytest.importorskip("sensor_msgs.msg")
    serialize = pytest.importorskip("rclpy.serialization").serialize_message
    typestore = get_typestore(Stores.LATEST)
    points = Points(np.ones((3, 3), np.float32), np.zeros(3, np.float32))
    camera = CameraModel(4, 3, np.eye(3), "plumb_bob", np.zeros(5))
    for fields in (
        image_fields(np.ones((2, 2, 3), np.uint8), "rgb8", stamp_ns=1, frame_id="c"),
        cloud_fields(points, stamp_ns=1, frame_id="l"),
        camera_info_fields(camera, stamp_ns=1),
    ):
        live = serialize(make(fields, compat.message_class))
        bag = typestore.serialize_cdr(make(fields, lambda name: typestore.types[name]), fields.type)
        # Serialised once more, because rclpy leaves the padding between fields as it finds it.
        assert typestore.serialize_cdr(typestore.deserialize_cdr(live, fields.type), fields.type) == bag


LABEL_INFO = "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n"


def test_label_info_names_every_class():
    typestore = get_typestore(Stores.LATEST)
    typestore.register(get_types_from_msg("uint16 class_id\nstring class_name\n", "vision_msgs/msg/VisionClass"))
    typestore.register(get_types_from_msg(LABEL_INFO, "vision_msgs/msg/LabelInfo"))
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="")
    message = typestore.types["vision_msgs/msg/LabelInfo"](header=header, class_map=[], threshold=0.0)
    fill_label_info(
        message,
        DELIVER_CLASSES,
        threshold=np.float32(0.5),
        vision_class_type=typestore.types["vision_msgs/msg/VisionClass"],
        stamp_ns=2_000_000_001,
        frame_id="camera",
    )
    assert [(c.class_id, c.class_name) for c in message.class_map] == list(enumerate(DELIVER_CLASSES.names))
    assert (type(message.threshold), message.threshold) == (float, 0.5)
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (2, 1, "camera")
