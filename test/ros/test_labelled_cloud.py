# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A LiDAR scan with labels: which points take which pixel's, which stay without, and how the message packs it."""

import numpy as np
import pytest

from any2seg_core.frames import (
    DELIVER_CLASSES,
    UNLABELLED,
    CameraModel,
    FrameSet,
    LabelMap,
    Modality,
    Points,
    SensorFrame,
)
from any2seg_core.projection.camera import cells
from any2seg_core.projection.lidar import visible_points
from any2seg_ros import compat
from any2seg_ros.conversions import cloud_columns, cloud_frame
from any2seg_ros.labelled_cloud import cloud_message, hidden, labelled_columns
from any2seg_ros.pipeline import Answer

RGB, LIDAR = Modality.RGB, Modality.LIDAR
STAMP = 1_000_000_000
HEIGHT, WIDTH = 40, 60
CAMERA = CameraModel(WIDTH, HEIGHT, np.array([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]]), frame_id="camera")
FROM_LIDAR = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
"""x forward, z up to z forward, y down, at the same place."""


def answer(xyz, *, moved=None, to_view=FROM_LIDAR, view=CAMERA, with_scan=True):
    """An answer whose label is the pixel's column modulo 25 and whose confidence is its row / 100."""
    intensity = np.arange(len(xyz), dtype=np.float32)
    scan = SensorFrame(LIDAR, STAMP - 7, "lidar", Points(np.float32(xyz), intensity))
    used = SensorFrame(LIDAR, STAMP - 7, "lidar", Points(np.float32(xyz if moved is None else moved), intensity))
    frames = {RGB: SensorFrame(RGB, STAMP, "camera", np.zeros((HEIGHT, WIDTH, 3), np.uint8))}
    if with_scan:
        frames[LIDAR] = SensorFrame(LIDAR, STAMP - 7, "lidar", used.data, to_view=to_view)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    labels = LabelMap(
        (columns % 25).astype(np.uint8), (rows / 100).astype(np.float32), STAMP, "camera", RGB, tuple(frames), {},
        DELIVER_CLASSES,
    )  # fmt: skip
    return Answer(labels, FrameSet(RGB, frames, view=view), scan if with_scan else None)


def test_a_point_takes_label_confidence_and_colour_of_the_pixel_it_is_seen_in():
    # 5 m ahead, 1 m to the left and 0.5 m up: u = 30 - 50 / 5 = 20, v = 20 - 25 / 5 = 15.
    found = labelled_columns(answer([[5, 1, 0.5]]))
    assert found["label"].tolist() == [20]
    assert found["confidence"].tolist() == [np.float32(0.15)]
    assert (found["x"][0], found["y"][0], found["z"][0], found["intensity"][0]) == (5, 1, 0.5, 0)
    red, green, blue = (int(value) for value in DELIVER_CLASSES.colours[20])
    assert found["rgb"].view(np.uint32).tolist() == [red << 16 | green << 8 | blue]


def test_points_out_of_sight_are_unlabelled_with_confidence_0_and_stay_in_the_cloud():
    # Behind the camera, beside the image, above it; and one that is seen.
    found = labelled_columns(answer([[-5, 0, 0], [5, 20, 0], [5, 0, 9], [5, 0, 0]]))
    assert found["label"].tolist() == [UNLABELLED] * 3 + [30 % 25]
    assert found["confidence"].tolist() == [0, 0, 0, np.float32(0.2)]
    assert found["rgb"].view(np.uint32)[:3].tolist() == [0, 0, 0]
    assert found["intensity"].tolist() == [0, 1, 2, 3]


def wall(distance, half_width, half_height, step):
    y, z = (np.arange(-half, half + 1e-6, step) for half in (half_width, half_height))
    return np.array([[distance, b, c] for b in y for c in z])


def test_a_wall_behind_another_is_hidden_where_the_near_one_stands_before_it():
    near, far = wall(5, 0.5, 0.5, 0.1), wall(10, 4, 3, 0.5)
    label = labelled_columns(answer([*near, *far]))["label"]
    assert (label[: len(near)] != UNLABELLED).all()
    # The near wall covers 0.1 either side of the axis as a share of depth; what lies well inside is hidden.
    share = np.abs(far[:, 1:] / 10)
    inside = (share < 0.08).all(axis=1)
    # Points of one surface lie at most sqrt(40 * 60 / points) pixels apart.
    seen = (share > 0.1 + np.ceil(np.sqrt(HEIGHT * WIDTH / len(label))) / 50).any(axis=1)
    assert inside.sum() >= 9
    assert (label[len(near) :][inside] == UNLABELLED).all()
    assert (label[len(near) :][seen] != UNLABELLED).all()


@pytest.mark.parametrize("rings", [16, 64])
def test_ground_hides_no_ground(rings):
    """Rings on a plane 1.5 m below, as a LiDAR draws them: near the horizon each has much nearer ones just below."""
    camera = CameraModel(640, 480, np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]))
    radii = 1.5 / np.tan(np.linspace(0.02, 0.4, rings))
    xyz = np.array([[r * np.cos(a), r * np.sin(a), -1.5] for r in radii for a in np.linspace(-0.5, 0.5, 150)])
    points = Points(xyz.astype(np.float32), np.zeros(len(xyz), np.float32))
    uv, depth, _ = visible_points(points, FROM_LIDAR, camera)
    assert len(depth) > 100 * rings
    assert not hidden(cells(uv), depth, (480, 640)).any()


def test_the_nearest_of_two_points_in_one_pixel_is_seen():
    at = np.array([3, 3, 3]), np.array([4, 4, 4])
    depth = np.array([9.0, 4.0, 4.1], np.float32)
    assert hidden(at, depth, (8, 8)).tolist() == [True, False, False]
    assert hidden((at[0][:0], at[1][:0]), depth[:0], (8, 8)).tolist() == []


def test_with_the_motion_taken_out_labels_are_looked_up_there_and_points_stay_as_measured():
    found = labelled_columns(answer([[5, 1, 0]], moved=[[5, 0, 0]]))
    assert (found["y"][0], found["label"][0]) == (1, 30 % 25)


@pytest.mark.parametrize("case", [{"with_scan": False}, {"to_view": None}, {"view": None}])
def test_without_scan_transform_or_camera_there_is_no_cloud(case):
    assert labelled_columns(answer([[5, 0, 0]], **case)) is None


def test_labels_of_another_size_than_the_view_give_no_cloud():
    half = CameraModel(WIDTH // 2, HEIGHT // 2, CAMERA.k)
    assert labelled_columns(answer([[5, 0, 0]], view=half)) is None


@pytest.fixture(params=["sensor_msgs_py", "stand-in"])
def cloud_maker(request, monkeypatch, ros):
    """Both ways of making a cloud; the distribution's package where it is installed."""
    maker = compat._create_cloud
    if request.param == "sensor_msgs_py":
        maker = pytest.importorskip("sensor_msgs_py.point_cloud2").create_cloud
    monkeypatch.setattr(compat, "create_cloud", lambda: maker)


@pytest.mark.usefixtures("cloud_maker")
def test_the_message_holds_the_columns_as_packed_fields():
    columns = labelled_columns(answer([[5, 1, 0.5], [-5, 0, 0]]))
    message = cloud_message(columns, stamp_ns=STAMP - 7, frame_id="lidar")
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, 7, 1), ("y", 4, 7, 1), ("z", 8, 7, 1), ("intensity", 12, 7, 1), ("rgb", 16, 7, 1),
        ("confidence", 20, 7, 1), ("label", 24, 2, 1),
    ]  # fmt: skip
    assert (message.point_step, message.row_step, message.height, message.width) == (25, 50, 1, 2)
    assert (message.is_dense, message.is_bigendian, message.header.frame_id) == (True, False, "lidar")
    assert cloud_frame(message).stamp_ns == STAMP - 7
    read = cloud_columns(message, list(columns))
    for name, column in columns.items():
        np.testing.assert_array_equal(read[name], column)
