# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Camera models for the image as published, and transforms, from rclpy, ROS 2 bag and ROS 1 bag messages."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import CameraModel
from any2seg_ros import compat
from any2seg_ros.conversions import (
    Fields,
    camera_info_fields,
    camera_model,
    make,
    matrix_from_xyz_quaternion,
    tf_message_fields,
    transform_matrix,
)

K = np.array([[400.0, 0, 319.5], [0, 410, 239.5], [0, 0, 1]])
P = np.array([[390.0, 0, 320, -39], [0, 390, 240, 0], [0, 0, 1, 0]])


@pytest.fixture(scope="module", params=["rclpy", "rosbags"])
def types(request):
    if request.param == "rclpy":
        pytest.importorskip("sensor_msgs.msg")
        return compat.message_class
    typestore = get_typestore(Stores.LATEST)
    return lambda name: typestore.types[name]


def camera_info(types, *, roi=(0, 0, 0, 0), binning=(0, 0), **changes):
    camera = CameraModel(640, 480, K, "plumb_bob", np.array([0.1, -0.2, 0.001, 0.002, 0.05]), np.eye(3), P, "optical")
    fields = camera_info_fields(camera, stamp_ns=9)
    region = dict(zip(("x_offset", "y_offset", "width", "height"), roi, strict=True), do_rectify=False)
    values = {
        **fields.values,
        "binning_x": binning[0],
        "binning_y": binning[1],
        "roi": Fields("sensor_msgs/msg/RegionOfInterest", region),
        **changes,
    }
    return make(Fields(fields.type, values), types)


def test_a_camera_model_survives_the_way_through_camera_info(types):
    model = camera_model(camera_info(types))
    assert (model.width, model.height, model.distortion_model, model.frame_id) == (640, 480, "plumb_bob", "optical")
    for found, expected in ((model.k, K), (model.p, P), (model.r, np.eye(3))):
        np.testing.assert_array_equal(found, expected)
    assert model.d.tolist() == [0.1, -0.2, 0.001, 0.002, 0.05]
    assert all(array.dtype == np.float64 for array in (model.k, model.d, model.r, model.p))


def test_unset_matrices_are_identity_and_none(types):
    model = camera_model(camera_info(types, r=np.zeros(9), p=np.zeros(12), d=np.zeros(0)))
    np.testing.assert_array_equal(model.r, np.eye(3))
    assert model.p is None
    assert model.d.shape == (0,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plumb_bob", "plumb_bob"), ("Brown Conrady", "plumb_bob"), ("fisheye", "equidistant"), ("odd", "odd"), ("", "")],
)
def test_other_spellings_of_distortion_models(types, name, expected):
    assert camera_model(camera_info(types, distortion_model=name)).distortion_model == expected


def test_region_and_binning_describe_the_image_as_published(types):
    model = camera_model(camera_info(types, roi=(100, 50, 400, 200), binning=(2, 4)))
    assert (model.width, model.height) == (200, 50)
    # The published pixel (0, 0) is made of full pixels 100..101 by 50..53, whose middle is (100.5, 51.5).
    for matrix, full in ((model.k, K), (model.p[:, :3], P[:, :3])):
        np.testing.assert_allclose(matrix[:2, 2], [(full[0, 2] - 100.5) / 2, (full[1, 2] - 51.5) / 4])
        np.testing.assert_allclose([matrix[0, 0], matrix[1, 1]], [full[0, 0] / 2, full[1, 1] / 4])
    assert model.p[0, 3] == pytest.approx(-39 / 2)


@given(
    st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(1, 50)),
    st.tuples(st.integers(0, 300), st.integers(0, 200)),
    st.sampled_from([1, 2, 4]),
)
def test_projecting_then_cropping_equals_cropping_then_projecting(point, offset, binning):
    roi = (*offset, 640 - offset[0], 480 - offset[1])
    typestore = get_typestore(Stores.LATEST)
    model = camera_model(camera_info(lambda name: typestore.types[name], roi=roi, binning=(binning, binning)))
    full = (K @ point)[:2] / point[2]
    published = (model.k @ point)[:2] / point[2]
    np.testing.assert_allclose((full - offset + 0.5) / binning - 0.5, published, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"roi": (600, 0, 100, 100)},
            r"found a region of 100x100 at \(600, 0\) in an image of 640x480, expected it in",
        ),
        ({"roi": (0, 0, 1, 1), "binning": (2, 1)}, r"found size 1x1 with binning 2x1, expected at least one pixel"),
        ({"width": 0, "height": 0}, r"found a region of 0x0 at \(0, 0\) in an image of 0x0"),
    ],
)
def test_impossible_regions(types, changes, message):
    with pytest.raises(CalibrationError, match=message):
        camera_model(camera_info(types, **changes))


def test_a_matrix_of_the_wrong_length():
    info = SimpleNamespace(k=[1.0] * 8, d=[], r=[0.0] * 9, p=[0.0] * 12, distortion_model="", width=1, height=1)
    with pytest.raises(CalibrationError, match=r"found 8 values in k, expected 9; check the topic's type"):
        camera_model(info)


def test_realsense_ros1_camera_infos(shared_data):
    with AnyReader([shared_data / "realsense_rgbd" / "single_depth_color_640x480.bag"]) as reader:
        models = {
            connection.topic.split("/")[3]: camera_model(reader.deserialize(raw, connection.msgtype))
            for connection, _, raw in reader.messages()
            if connection.topic.endswith("camera_info")
        }
    assert {name: (round(m.k[0, 0]), m.width, m.height, m.distortion_model) for name, m in models.items()} == {
        "Depth_0": (390, 640, 480, "plumb_bob"),
        "Color_0": (613, 640, 480, "plumb_bob"),
    }
    assert models["Depth_0"].p is None


FINITE = st.floats(-100, 100)


@given(st.tuples(*[FINITE] * 3), st.tuples(*[st.floats(-1, 1)] * 4), st.tuples(*[FINITE] * 3))
@settings(deadline=None)
def test_the_matrix_turns_points_as_quaternion_products_do(translation, quaternion, point):
    length = np.linalg.norm(quaternion)
    if length < 1e-3:
        return
    matrix = matrix_from_xyz_quaternion([*translation, *quaternion])

    def product(a, b):
        va, vb = np.array(a[:3]), np.array(b[:3])
        return [*(a[3] * vb + b[3] * va + np.cross(va, vb)), a[3] * b[3] - va @ vb]

    q = np.array(quaternion) / length
    turned = product(product(q, [*point, 0]), [*-q[:3], q[3]])[:3]
    np.testing.assert_allclose((matrix @ [*point, 1])[:3], np.array(turned) + translation, atol=1e-9)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)
    assert matrix[3].tolist() == [0, 0, 0, 1]


def test_known_turns():
    half = np.sqrt(0.5)
    quarter_about_z = matrix_from_xyz_quaternion([1, 2, 3, 0, 0, 5 * half, 5 * half])
    np.testing.assert_allclose(quarter_about_z @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


@pytest.mark.parametrize(
    "values", [[0] * 7, [0, 0, 0, 0, 0, 0, np.nan], [np.inf, 0, 0, 0, 0, 0, 1], [0, 0, 0, 1], [0] * 8, [0] * 6 + [1e-9]]
)
def test_what_is_no_transform(values):
    with pytest.raises(CalibrationError, match=r"transform: found \[.*expected seven finite numbers .*unit quaternion"):
        matrix_from_xyz_quaternion(values)


@given(st.tuples(*[FINITE] * 3), st.tuples(*[st.floats(-1, 1)] * 4))
@settings(max_examples=50, deadline=None)
def test_a_matrix_survives_the_way_through_tf(translation, quaternion):
    if np.linalg.norm(quaternion) < 1e-3:
        return
    matrix = matrix_from_xyz_quaternion([*translation, *quaternion])
    typestore = get_typestore(Stores.LATEST)
    fields = tf_message_fields(matrix, stamp_ns=7, parent_frame_id="base_link", child_frame_id="lidar")
    message = make(fields, lambda name: typestore.types[name])
    stamped = message.transforms[0]
    assert (stamped.header.frame_id, stamped.child_frame_id, stamped.header.stamp.nanosec) == ("base_link", "lidar", 7)
    np.testing.assert_allclose(transform_matrix(stamped.transform), matrix, atol=1e-9)


def test_transforms_of_either_library(types):
    values = {
        "translation": Fields("geometry_msgs/msg/Vector3", {"x": 1.0, "y": 2.0, "z": 3.0}),
        "rotation": Fields("geometry_msgs/msg/Quaternion", {"x": 0.0, "y": 0.0, "z": 0.0, "w": 2.0}),
    }
    matrix = transform_matrix(make(Fields("geometry_msgs/msg/Transform", values), types))
    assert matrix.tolist() == [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
