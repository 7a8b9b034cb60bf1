# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""When depth is brought into the view, by which cameras and transform, and what happens where these are not known."""

import itertools

import numpy as np
import pytest

from any2seg_core.config import DepthConfig, LidarConfig, ViewConfig
from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Absence, CameraModel, FrameSet, Modality, Points, SensorFrame
from any2seg_core.projection.registration import axial_depth, register_depth
from any2seg_ros.alignment import DepthAlignment
from any2seg_ros.calibration import Calibration

RGB, DEPTH, LIDAR = Modality.RGB, Modality.DEPTH, Modality.LIDAR
ANCHORS = (RGB, DEPTH, LIDAR)
STAMP = 1_000
BESIDE = np.eye(4)
BESIDE[0, 3] = -0.2
SIZE = (30, 40)


def camera(frame_id="stereo", focal=35.0, width=40, height=30, **fields):
    k = np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])
    return CameraModel(width, height, k, frame_id=frame_id, **fields)


def depth_image(size=SIZE):
    depth = np.full(size, 3.5, np.float32)
    depth[10:20, 10:20] = 1.75
    return depth


def frames(*, frame_id="stereo", anchor=RGB, data=None, rgb_frame_id="camera"):
    made = {
        RGB: SensorFrame(RGB, STAMP + 5, rgb_frame_id, np.zeros((60, 80, 3), np.uint8)),
        DEPTH: SensorFrame(DEPTH, STAMP, frame_id, depth_image() if data is None else data),
    }
    return FrameSet(anchor, made)


class Rig:
    def __init__(self, *, transform=BESIDE, view=None, cameras=None, **depth):
        self.asked = []
        self.calibration = Calibration(view or ViewConfig(), LidarConfig(), self.lookup)
        self.transform = transform
        known = {RGB: camera("camera", 70.0, 80, 60), DEPTH: camera()} if cameras is None else cameras
        for modality, model in known.items():
            self.calibration.see_camera(modality, model)
        self.alignment = DepthAlignment(DepthConfig(**depth), self.calibration, self.lookup)

    def lookup(self, *question):
        self.asked.append(question)
        return self.transform

    def __call__(self, frame_set):
        measured, unmeasured = self.alignment.measured(frame_set, ANCHORS)
        complete, _ = self.calibration.complete(measured, ANCHORS)
        found, problem = self.alignment.registered(complete, ANCHORS)
        return found, problem or unmeasured


def test_depth_of_another_frame_is_drawn_into_the_anchors_camera():
    rig = Rig()
    found, problem = rig(frames())
    assert (problem, rig.asked) == (None, [("camera", "stereo", STAMP)])
    depth = found.frames[DEPTH]
    assert (depth.frame_id, depth.stamp_ns, depth.size) == ("camera", STAMP, (60, 80))
    np.testing.assert_array_equal(
        depth.data, register_depth(depth_image(), camera(), BESIDE, camera("camera", 70.0, 80, 60))
    )
    # f b / z: 70 x 0.2 / 1.75 = 8 pixels to the left of twice the column.
    assert np.flatnonzero(depth.data[30] == 1.75)[[0, -1]].tolist() == [20 - 8, 39 - 8]


def test_the_newest_intrinsics_count():
    rig = Rig()
    before, _ = rig(frames())
    rig.calibration.see_camera(DEPTH, camera(focal=30.0))
    rig.calibration.see_camera(RGB, camera("camera", 60.0, 80, 60))
    after, problem = rig(frames())
    assert problem is None
    assert not np.array_equal(before.frames[DEPTH].data, after.frames[DEPTH].data)
    np.testing.assert_array_equal(
        after.frames[DEPTH].data,
        register_depth(depth_image(), camera(focal=30.0), BESIDE, camera("camera", 60.0, 80, 60)),
    )


def test_an_image_that_serves_again_is_drawn_again_only_if_something_changed():
    rig, given = Rig(geometry="radial"), frames()
    first = rig(given)[0].frames[DEPTH].data
    assert rig(given)[0].frames[DEPTH].data is first
    rig.calibration.see_camera(RGB, camera("camera", 60.0, 80, 60))
    second = rig(given)[0].frames[DEPTH].data
    rig.transform = np.eye(4)
    third = rig(given)[0].frames[DEPTH].data
    rig.calibration.see_camera(DEPTH, camera(focal=30.0))
    fourth = rig(given)[0].frames[DEPTH].data
    other = rig(frames(data=depth_image() + 1))[0].frames[DEPTH].data
    found = [first, second, third, fourth, other]
    assert not any(np.array_equal(a, b, equal_nan=True) for a, b in itertools.combinations(found, 2))


@pytest.mark.parametrize("registered", ["auto", "registered"])
def test_depth_that_is_registered_is_left_alone(registered):
    rig = Rig(registered=registered)
    given = frames(frame_id="camera" if registered == "auto" else "stereo")
    found, problem = rig(given)
    assert (problem, rig.asked) == (None, [])
    assert found.frames[DEPTH] is given.frames[DEPTH]


def test_depth_that_is_said_to_be_unregistered_is_registered_whatever_its_frame_says():
    rig = Rig(registered="unregistered", extrinsic=[-0.2, 0, 0, 0, 0, 0, 1.0])
    found, problem = rig(frames(frame_id="camera"))
    assert problem is None
    np.testing.assert_array_equal(found.frames[DEPTH].data, Rig()(frames())[0].frames[DEPTH].data)


def test_one_frame_with_another_section_is_registered_without_asking_tf():
    rig = Rig(cameras={RGB: camera("camera", 70.0, 80, 60), DEPTH: camera("camera", 35.0, 40, 20)})
    found, problem = rig(frames(frame_id="camera", data=depth_image((20, 40))))
    assert (problem, rig.asked) == (None, [])
    seen = np.isfinite(found.frames[DEPTH].data).any(axis=1)
    # Half as many rows see the middle two thirds of the view.
    assert np.flatnonzero(seen)[[0, -1]].tolist() == [10, 49]


def test_the_extrinsic_parameter_wins_over_tf():
    rig = Rig(transform=None, extrinsic=[-0.2, 0, 0, 0, 0, 0, 1.0])
    found, problem = rig(frames())
    assert (problem, rig.asked) == (None, [])
    np.testing.assert_array_equal(found.frames[DEPTH].data, Rig()(frames())[0].frames[DEPTH].data)
    with pytest.raises(ConfigError, match=r"depth.extrinsic: transform: found"):
        Rig(extrinsic=[1.0, 0, 0, 0, 0, 0, 0])


UNKNOWN = {
    "no transform": ({"transform": None}, r"no transform from 'stereo' to 'camera'", Absence.NO_TRANSFORM),
    "no camera": ({"cameras": {RGB: camera("camera")}}, r"no camera intrinsics for 'depth'", Absence.NO_CALIBRATION),
    "no view": ({"cameras": {DEPTH: camera()}}, r"no intrinsics of the view", Absence.NO_CALIBRATION),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_not_known_is_told_and_depth_kept_only_where_it_may_fit(case):
    settings, reason, absence = UNKNOWN[case]
    found, problem = Rig(**settings)(frames())
    assert found.frames[DEPTH].frame_id == "stereo"
    with pytest.raises(
        type(problem), match=r"depth is in frame 'stereo', 40x30, the camera in 'camera', 80x60.*" + reason
    ):
        raise problem
    found, problem = Rig(registered="unregistered", **settings)(frames())
    assert found.present == (RGB,)
    assert found.absent == {DEPTH: absence}
    assert problem is not None


def test_with_depth_as_the_anchor_nothing_is_drawn_and_a_camera_elsewhere_is_told():
    rig = Rig()
    given = frames(anchor=DEPTH)
    found, problem = rig(given)
    assert found.frames[DEPTH] is given.frames[DEPTH]
    assert "name rgb before depth in sync.anchors" in str(problem)
    assert rig(frames(anchor=DEPTH, rgb_frame_id="stereo"))[1] is None


def test_points_as_the_anchor_take_depth_into_their_view():
    rig = Rig()
    points = SensorFrame(LIDAR, STAMP, "lidar", Points(np.ones((2, 3), np.float32), np.ones(2, np.float32)))
    given = FrameSet(LIDAR, {LIDAR: points, DEPTH: frames().frames[DEPTH]})
    found, problem = rig(given)
    assert problem is None
    assert found.frames[DEPTH].size == (60, 80)


def test_rectified_images_are_registered_by_what_rectifies_them():
    """A depth camera that R turns by 0.1 rad, and TF that turns it back: the rectified views look the same way."""
    turn = np.array([[np.cos(0.1), 0, np.sin(0.1)], [0, 1, 0], [-np.sin(0.1), 0, np.cos(0.1)]])
    plain, view = camera(), camera("camera")
    p = np.hstack([plain.k, np.zeros((3, 1))])
    raw_to_raw = np.eye(4)
    raw_to_raw[:3, :3] = turn
    rig = Rig(
        transform=raw_to_raw, view=ViewConfig(rectified=True),
        cameras={RGB: camera("camera", p=p), DEPTH: camera(p=p, r=turn, distortion_model="plumb_bob", d=np.ones(5))},
    )  # fmt: skip
    given = frames()
    given = FrameSet(RGB, {**given.frames, RGB: SensorFrame(RGB, STAMP, "camera", np.zeros((30, 40, 3), np.uint8))})
    found, problem = rig(given)
    assert problem is None
    np.testing.assert_allclose(
        found.frames[DEPTH].data, register_depth(depth_image(), plain, np.eye(4), view), rtol=1e-5
    )


def test_distances_along_rays_become_depth_first():
    rig = Rig(geometry="radial", registered="registered")
    found, problem = rig(frames())
    assert problem is None
    np.testing.assert_array_equal(found.frames[DEPTH].data, axial_depth(depth_image(), camera()))


def test_without_intrinsics_distances_along_rays_are_left_out():
    rig = Rig(geometry="radial", cameras={RGB: camera("camera")})
    found, problem = rig(frames())
    assert found.absent == {DEPTH: Absence.NO_CALIBRATION}
    assert "no camera intrinsics for 'depth'" in str(problem)
    with pytest.raises(FrameError, match=r"no sensor that may be the anchor is left \(depth no_calibration\)"):
        Rig(geometry="radial", cameras={})(FrameSet(DEPTH, {DEPTH: frames().frames[DEPTH]}))


def test_pictures_of_depth_pass():
    given = frames(data=np.zeros((30, 40, 3), np.uint8))
    for settings in ({}, {"geometry": "radial"}):
        found, problem = Rig(**settings)(given)
        assert problem is None
        assert found.frames[DEPTH] is given.frames[DEPTH]
