# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Real recordings replay, and the report says what they lack."""

from pathlib import Path

import pytest

from any2seg_ros.replay.many import replay
from any2seg_ros.replay.settings import ReplaySettings

DATA = Path(__file__).resolve().parents[3] / "shared/data"
PARAMETERS = {"inference.checkpoint": "untrained", "inference.short_side_px": 64}


def judged(path, out, *, parameters=PARAMETERS, **settings):
    if not path.exists():
        pytest.skip(f"{path.name} is not here: real recordings do not come with the project")
    return replay([path], ReplaySettings(parameters=parameters, **settings), out).bags[0]


def test_events_alone(tmp_path):
    found = judged(DATA / "event_camera_evt3/bag", tmp_path, to_s=0.6)
    assert found.outputs > 5
    assert {tuple(row.used) for row in found.frames} == {("event",)}
    assert found.scores is None
    for missing in ("no topic for rgb", "no topic for lidar", "no truth"):
        assert any(missing in note for note in found.notes)


def test_colour_and_depth_that_do_not_look_through_one_lens(tmp_path):
    found = judged(DATA / "realsense_rgbd/single_depth_color_640x480.bag", tmp_path)
    assert found.kind == "ROS 1"
    assert found.outputs >= 1
    sensors = {row.modality: row for row in found.sensors}
    assert (sensors["rgb"].received, sensors["depth"].received) == (1, 2)
    assert any("no topic for lidar" in note for note in found.notes)


def test_a_camera_image_and_the_lidar_scan_of_the_same_moment(camera_lidar_bag, tmp_path):
    path, extrinsic = camera_lidar_bag
    found = judged(path, tmp_path / "whole", parameters={**PARAMETERS, "lidar.extrinsic": extrinsic})
    assert [tuple(row.used) for row in found.frames] == [("rgb", "lidar")]
    for missing in ("no topic for depth", "no topic for event", "no truth"):
        assert any(missing in note for note in found.notes)
    # The recording has no TF: without the parameter the scan cannot be placed, and the report says what to pass.
    found = judged(path, tmp_path / "unplaced")
    assert [tuple(row.used) for row in found.frames] == [("rgb",)]
    assert any("lidar.extrinsic" in note for note in found.notes), found.notes
