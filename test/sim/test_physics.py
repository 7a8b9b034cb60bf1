# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The sensors agree with each other and with the street: LiDAR in the camera, depth and range, events and light."""

import dataclasses

import numpy as np
import pytest

from any2seg_core.frames import UNLABELLED, Modality
from any2seg_core.projection.camera import cells, project_points
from any2seg_core.projection.lidar import visible_points
from any2seg_sim.materials import Label
from any2seg_sim.sensors.events import LOG_FLOOR
from any2seg_sim.sensors.lens import undistorted
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import SliceRenderer, render_drive, render_moments
from any2seg_sim.suite import SensorSuite

BASE = DriveSettings(
    seed=2,
    duration_s=0.4,
    width=192,
    height=128,
    samples=1,
    subframes=1,
    lidar_rings=32,
    lidar_columns=1024,
    noise=False,
)


def hits(settings, times_s):
    """Points that the camera sees away from class edges: how many there are, and how many meet their own class."""
    rig, agree, total = SensorSuite(settings).rig, 0, 0
    for moment in render_moments(settings, times_s):
        points, labels = moment.lidar.frame.data, moment.rgb.labels
        uv, z, index = visible_points(points, rig.lidar_to_camera, rig.camera)
        row, column = cells(uv)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(labels, 2, mode="edge"), (5, 5))
        same = around.max((2, 3)) == around.min((2, 3))
        # What lies behind the camera's depth is hidden from it: the LiDAR sits elsewhere.
        seen = z < moment.rgb.exact[row, column] * 1.03 + 0.1
        use = same[row, column] & seen & (moment.lidar.labels[index] != UNLABELLED)
        agree += np.count_nonzero(labels[row, column][use] == moment.lidar.labels[index][use])
        total += np.count_nonzero(use)
    return agree, total


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distortion": "plumb_bob"},
        {"rig": "vehicle"},
        {"rig": "vehicle", "distortion": "rational_polynomial"},
        {"rig": "vehicle", "distortion": "equidistant", "noise": True, "weather": "rain"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())) or "aligned",
)
def test_lidar_projected_into_the_camera_meets_its_own_class(changes):
    agree, total = hits(dataclasses.replace(BASE, **changes), [0.2, 0.4])
    assert total > 4000
    assert agree / total >= 0.98


def test_a_wrong_calibration_would_be_noticed():
    """The same check with a LiDAR that shook loose, which the rig doesn't know."""
    sound, shaken = (hits(dataclasses.replace(BASE, failure=failure), [0.4]) for failure in ("", "lidarjitter"))
    assert shaken[0] / shaken[1] < sound[0] / sound[1] - 0.005


@pytest.mark.parametrize("changes", [{}, {"rig": "vehicle", "distortion": "plumb_bob"}], ids=["aligned", "vehicle"])
def test_depth_equals_lidar_range_along_the_ray_to_a_centimetre(changes):
    """The depth sensor looks exactly at each LiDAR point, which must be there, unless something stands before it."""
    settings = dataclasses.replace(BASE, **changes)
    suite = SensorSuite(settings)
    stamp_ns = settings.start_ns + 400_000_000
    points = suite.sweep(stamp_ns).frame.data.xyz.astype(np.float64)
    pose = suite.scene.drive.pose(0.4) @ suite.rig.poses[Modality.DEPTH]
    to_depth = np.linalg.inv(suite.rig.poses[Modality.DEPTH]) @ suite.rig.lidar_in_base
    points = points @ to_depth[:3, :3].T + to_depth[:3, 3]
    uv, valid = project_points(points, suite.rig.cameras[Modality.DEPTH])
    use = valid & np.all((uv > 0) & (uv < (191, 127)), 1) & (points[:, 2] < 60)
    rays = undistorted(uv[use].astype(np.float64), suite.rig.cameras[Modality.DEPTH])
    reached = suite.renderer.cast(pose, rays)
    error = reached.distance * rays[:, 2] - points[use, 2]
    # A pixel coordinate in single precision is off by up to 4e-6 pixels: on ground seen from 60 m, by centimetres.
    near = points[use, 2] < 30
    hidden = error < -0.01
    assert np.count_nonzero(near) > 2000
    assert np.mean(hidden[near]) < 0.1
    assert np.mean(np.abs(error[near & ~hidden]) < 0.01) > 0.995


def test_the_depth_image_itself_agrees_with_the_lidar_on_planes():
    """On a plane 1 / depth is linear in the image, so four pixels tell the depth between them."""
    suite = SensorSuite(BASE)
    (moment,) = render_moments(BASE, [0.3])
    exact = moment.depth.exact.astype(np.float64)
    uv, z, index = visible_points(moment.lidar.frame.data, suite.rig.lidar_to_camera, suite.rig.camera)
    column, row = np.floor(uv.astype(np.float64)).astype(int).T
    inner = (column >= 0) & (row >= 0) & (column < 191) & (row < 127)
    flat = np.isin(moment.lidar.labels[index], [Label.ROAD, Label.SIDE_WALK, Label.WALL]) & (z < 25)
    corners = np.stack([moment.rgb.labels[row * inner + y, column * inner + x] for y in (0, 1) for x in (0, 1)])
    use = inner & flat & np.all(corners == moment.lidar.labels[index], 0)
    u, v = uv[use, 0].astype(np.float64) - column[use], uv[use, 1].astype(np.float64) - row[use]
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])
    depths = np.stack([exact[row[use] + y, column[use] + x] for y in (0, 1) for x in (0, 1)])
    error = 1 / np.sum(weights / depths, 0) - z[use]
    assert len(error) > 500
    assert np.median(np.abs(error)) < 0.001
    assert np.mean(np.abs(error) < 0.01) > 0.9


def test_range_limits_cut_the_depth_that_is_measured_and_not_the_exact_one():
    (moment,) = render_moments(dataclasses.replace(BASE, depth_min_m=5.0, depth_max_m=20.0), [0.2])
    exact, measured = moment.depth.exact, moment.depth.frame.data
    with np.errstate(invalid="ignore"):
        within = (exact >= 5) & (exact <= 20)
    np.testing.assert_array_equal(measured[within], exact[within])
    assert np.isnan(measured[~within]).all()
    assert np.nanmax(exact) > 20


def test_only_the_sky_has_no_exact_depth():
    for moment in render_moments(dataclasses.replace(BASE, weather="night"), [0.1, 0.4]):
        np.testing.assert_array_equal(np.isnan(moment.depth.exact), moment.rgb.labels == Label.SKY)


def test_events_add_up_to_the_change_of_log_intensity_within_a_threshold():
    settings = dataclasses.replace(
        BASE, duration_s=0.4, width=96, height=64, subframes=3, lidar_rings=1, lidar_columns=16, event_refractory_s=0.0
    )
    renderer = SliceRenderer(settings)
    first, last = renderer.slice(1).film[0][1], renderer.slice(4).film[-1][1]
    change = np.log(last + LOG_FLOOR) - np.log(first + LOG_FLOOR)
    total = np.zeros((64, 96))
    for reading in render_drive(settings):
        if reading.frame.modality == Modality.EVENT:
            events = reading.frame.data
            np.add.at(total, (events.y, events.x), np.where(events.polarity == 1, 1.0, -1.0) * settings.event_threshold)
    assert np.count_nonzero(total) > 300
    assert np.abs(change - total).max() < settings.event_threshold + 1e-3


def test_the_depth_image_puts_the_road_at_height_zero():
    suite = SensorSuite(BASE)
    (moment,) = render_moments(BASE, [0.3])
    pose, k = suite.pose(Modality.DEPTH, 0.3), suite.rig.camera.k
    row, column = np.nonzero((moment.rgb.labels == Label.ROAD) & (moment.depth.exact < 20))
    z = moment.depth.exact[row, column].astype(np.float64)
    points = np.stack([(column - k[0, 2]) / k[0, 0] * z, (row - k[1, 2]) / k[1, 1] * z, z, np.ones_like(z)])
    assert len(z) > 500
    assert np.abs((pose @ points)[2]).max() < 0.05
