# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera points are projected into, where the LiDAR stands in it, and what is left where that is not known."""

import numpy as np
import pytest

from any2seg_core.config import LidarConfig, ViewConfig
from any2seg_core.errors import CalibrationError, ConfigError, FrameError
from any2seg_core.frames import Absence, CameraModel, Events, FrameSet, Modality, Points, SensorFrame
from any2seg_ros.calibration import Calibration, leave_out, rectified

STAMP = 1_000
ANCHORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
TURNED = [0.1, 0.2, 0.3, 0.5, -0.5, 0.5, 0.5]
"""x forward, z up becomes z forward, y down."""
VIEW = ViewConfig(width_px=32, height_px=24, fx_px=20.0, fy_px=21.0, cx_px=15.5, cy_px=11.5, frame_id="view")


def camera(width=64, height=48, frame_id="camera", **fields):
    k = np.array([[50.0, 0, width / 2 - 0.5], [0, 51.0, height / 2 - 0.5], [0, 0, 1]])
    return CameraModel(width, height, k, frame_id=frame_id, **fields)


def frame(modality, size=(48, 64), frame_id=None):
    height, width = size
    nothing = np.zeros(0, np.uint16)
    data = {
        Modality.RGB: np.zeros((*size, 3), np.uint8),
        Modality.DEPTH: np.ones(size, np.float32),
        Modality.EVENT: Events(nothing, nothing, nothing.astype(np.uint8), nothing.astype(np.int64), width, height),
        Modality.LIDAR: Points(np.array([[5, 0, 0], [0, 5, 0]], np.float32), np.ones(2, np.float32)),
    }[modality]
    return SensorFrame(modality, STAMP, frame_id or ("lidar" if modality is Modality.LIDAR else "camera"), data)


def frames(*modalities, anchor=None, **fields):
    return FrameSet(anchor or modalities[0], {modality: frame(modality, **fields) for modality in modalities})


def nowhere(*_):
    return None


def calibration(view=None, extrinsic=TURNED, lookup=nowhere, **cameras):
    made = Calibration(view or ViewConfig(), LidarConfig(extrinsic=extrinsic or [0.0] * 7), lookup)
    for name, model in cameras.items():
        made.see_camera(Modality(name), model)
    return made


def test_points_get_the_anchors_camera_and_the_extrinsic():
    found, problems = calibration(rgb=camera()).complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    assert problems == []
    assert (found.view.width, found.view.height, found.view.k[0, 0]) == (64, 48, 50.0)
    # 5 m ahead of the LiDAR and 2 m up lies 5 m deep and 2 m up (y down) for the camera, shifted by the mounting.
    place = found.frames[Modality.LIDAR].to_view @ [5.0, 0.0, 2.0, 1.0]
    np.testing.assert_allclose(place, [0.1, 0.2 - 2.0, 0.3 + 5.0, 1.0], atol=1e-12)


def test_the_transform_is_asked_for_at_the_scans_stamp_between_the_right_frames():
    asked = []

    ahead = np.eye(4)
    ahead[:3, 3] = [-5.0, 0, 9.0]

    def lookup(*question):
        asked.append(question)
        return ahead

    found, problems = calibration(extrinsic=None, lookup=lookup, rgb=camera(frame_id="optical")).complete(
        frames(Modality.RGB, Modality.LIDAR), ANCHORS
    )
    assert (asked, problems) == ([("optical", "lidar", STAMP)], [])
    np.testing.assert_array_equal(found.frames[Modality.LIDAR].to_view, ahead)


def test_the_extrinsic_parameter_wins_over_tf():
    def lookup(*_):
        pytest.fail("TF was asked")

    calibration(lookup=lookup, rgb=camera()).complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)


def test_a_camera_info_of_another_size_of_the_same_view_is_scaled():
    found, _ = calibration(rgb=camera(128, 96)).complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    # cx = 63.5 of 128 pixels is the middle, (63.5 + 0.5) / 2 - 0.5 = 31.5 of 64.
    assert (found.view.width, found.view.k[0, 0], found.view.k[0, 2]) == (64, 25.0, 31.5)


def test_a_camera_info_of_another_aspect_leaves_the_points_out():
    found, (problem,) = calibration(rgb=camera(64, 40)).complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    assert found.present == (Modality.RGB,)
    assert found.absent[Modality.LIDAR] is Absence.NO_CALIBRATION
    assert "intrinsics are for 64x40, the image is 64x48" in str(problem)


def test_the_newest_camera_info_counts_and_an_unusable_one_leaves_the_last_good_one():
    made = calibration(rgb=camera())
    made.see_camera(Modality.RGB, camera(128, 96))
    with pytest.raises(CalibrationError, match=r"K\[0\] = 0"):
        made.see_camera(Modality.RGB, CameraModel(64, 48, np.zeros((3, 3))))
    found, problems = made.complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    assert (found.view.k[0, 0], problems) == (25.0, [])


@pytest.mark.parametrize("anchor", [Modality.RGB, Modality.DEPTH, Modality.EVENT])
def test_each_camera_anchor_is_projected_into_with_its_own_intrinsics(anchor):
    made = calibration(
        rgb=camera(64, 48, frame_id="rgb"), depth=camera(128, 96, frame_id="depth"), event=camera(256, 192)
    )
    found, _ = made.complete(frames(anchor, Modality.LIDAR), ANCHORS)
    assert found.view.k[0, 0] == {Modality.RGB: 50.0, Modality.DEPTH: 25.0, Modality.EVENT: 12.5}[anchor]


def test_a_registered_depth_image_without_camera_info_borrows_that_of_its_frame():
    made = calibration(view=VIEW, rgb=camera(), event=camera(128, 96, frame_id="elsewhere"))
    found, problems = made.complete(frames(Modality.DEPTH, Modality.LIDAR), ANCHORS)
    assert (found.view.k[0, 0], problems) == (50.0, [])
    other = frames(Modality.DEPTH, Modality.LIDAR, frame_id="stereo")
    assert made.complete(other, ANCHORS)[0].view.k[0, 0] == 40.0, "the fallback view, scaled from 32 to 64 pixels"


def test_the_lidar_alone_uses_the_camera_that_is_known_or_the_fallback():
    alone = frames(Modality.LIDAR)
    found, problems = calibration(view=VIEW, event=camera(100, 80)).complete(alone, ANCHORS)
    assert (found.output_size, problems) == ((80, 100), [])
    found, problems = calibration(view=VIEW).complete(alone, ANCHORS)
    assert (found.output_size, found.view.frame_id, problems) == ((24, 32), "view", [])


def test_the_lidar_alone_without_any_camera_cannot_answer():
    with pytest.raises(FrameError, match=r"no sensor that may be the anchor is left \(lidar no_calibration\)"):
        calibration().complete(frames(Modality.LIDAR), ANCHORS)


def test_a_view_without_a_frame_is_never_taken_for_the_lidars_own():
    asked = []
    nameless = VIEW.model_copy(update={"frame_id": ""})
    made = calibration(view=nameless, extrinsic=None, lookup=lambda *question: asked.append(question))
    with pytest.raises(FrameError, match=r"lidar no_transform"):
        made.complete(frames(Modality.LIDAR), ANCHORS)
    assert asked == []


def test_without_a_transform_the_next_anchor_takes_over_with_its_own_view():
    made = calibration(extrinsic=None, rgb=camera(256, 192), depth=camera())
    both = frames(Modality.LIDAR, Modality.DEPTH)
    found, (problem,) = made.complete(both, ANCHORS)
    assert (found.anchor, found.present) == (Modality.DEPTH, (Modality.DEPTH,))
    assert found.absent == {Modality.LIDAR: Absence.NO_TRANSFORM}
    assert (found.view.width, found.view.k[0, 0]) == (64, 50.0)
    assert "no transform from 'lidar' to 'camera'" in str(problem)


def test_a_broken_transform_counts_as_none():
    def lookup(*_):
        raise CalibrationError("transform: found nan")

    found, (problem,) = calibration(extrinsic=None, lookup=lookup, rgb=camera()).complete(
        frames(Modality.RGB, Modality.LIDAR), ANCHORS
    )
    assert found.absent[Modality.LIDAR] is Absence.NO_TRANSFORM
    assert "found nan" in str(problem)


def test_a_scan_that_misses_the_view_is_told_of_and_stays():
    """The inverse of the right extrinsic is the commonest mistake: all points end up beside the camera."""
    made = calibration(extrinsic=[*TURNED[:6], -TURNED[6]], rgb=camera())
    found, (problem,) = made.complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    assert found.present == (Modality.RGB, Modality.LIDAR)
    assert "in 'lidar' lands in the 64x48 view, expected some; check the extrinsic" in str(problem)


def test_without_points_a_missing_camera_is_no_problem():
    found, problems = calibration().complete(frames(Modality.RGB, Modality.DEPTH), ANCHORS)
    assert (found.view, problems) == (None, [])
    found, problems = calibration(rgb=camera()).complete(frames(Modality.RGB, Modality.DEPTH), ANCHORS)
    assert (found.view.width, problems) == (64, [])


def test_rectified_images_are_projected_into_with_p_and_r():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    p = np.array([[40.0, 0, 31.5, -8.0], [0, 40.0, 23.5, 0], [0, 0, 1, 0]])
    raw = camera(distortion_model="plumb_bob", d=np.array([0.1, 0, 0, 0, 0]), r=turn, p=p)
    found, problems = calibration(view=ViewConfig(rectified=True), rgb=raw).complete(
        frames(Modality.RGB, Modality.LIDAR), ANCHORS
    )
    assert problems == []
    assert (found.view.k[0, 0], len(found.view.d)) == (40.0, 0)
    plain, _ = calibration(rgb=raw).complete(frames(Modality.RGB, Modality.LIDAR), ANCHORS)
    shift = np.eye(4)
    shift[:3, :3], shift[0, 3] = turn, -8.0 / 40.0
    expected = shift @ plain.frames[Modality.LIDAR].to_view
    np.testing.assert_allclose(found.frames[Modality.LIDAR].to_view, expected)
    # The same pixel as sensor_msgs/CameraInfo has it: P (R x, 1).
    x = np.array([1.0, 2.0, 10.0])
    np.testing.assert_allclose(found.view.k @ (shift @ [*x, 1])[:3], p @ [*(turn @ x), 1])


@pytest.mark.parametrize(
    "p", [None, np.zeros((3, 4)), np.array([[40.0, 0, 31.5, 0], [0, 40.0, 23.5, 0], [0, 0, 0, 0]])]
)
def test_rectified_images_without_a_usable_p_are_refused(p):
    with pytest.raises(CalibrationError, match=r"view.rectified is set .* publish P, or unset view.rectified"):
        rectified(camera(p=p))


@pytest.mark.parametrize("extrinsic", [[1.0, 0, 0, 0, 0, 0, 0], [0.0, 0, 0, 1e9, 0, 0, 0]])
def test_an_extrinsic_that_is_no_transform_is_refused_by_its_name(extrinsic):
    with pytest.raises(ConfigError, match=r"lidar.extrinsic: transform: found .* expected seven finite numbers"):
        calibration(extrinsic=[float(value) for value in extrinsic])


def test_leaving_out_keeps_the_anchor_or_takes_the_next_one():
    whole = frames(Modality.RGB, Modality.DEPTH, Modality.LIDAR)
    left = leave_out(whole, {Modality.DEPTH: Absence.REJECTED}, ANCHORS)
    assert (left.anchor, left.present) == (Modality.RGB, (Modality.RGB, Modality.LIDAR))
    left = leave_out(whole, {Modality.RGB: Absence.REJECTED}, (Modality.LIDAR, Modality.DEPTH))
    assert (left.anchor, left.absent) == (Modality.LIDAR, {Modality.RGB: Absence.REJECTED})
    with pytest.raises(FrameError, match=r"rgb rejected, lidar stale"):
        leave_out(whole, {Modality.RGB: Absence.REJECTED, Modality.LIDAR: Absence.STALE}, (Modality.RGB,))
