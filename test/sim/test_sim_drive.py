# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A small drive: geometry, classes, events, stamps and determinism of what the simulator makes."""

import dataclasses
import os

import numpy as np
import pytest

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.projection.camera import cells, project_points
from any2seg_core.projection.lidar import visible_points
from any2seg_sim import simulation
from any2seg_sim.materials import Label
from any2seg_sim.preview import preview_sheet
from any2seg_sim.rig import BASE_FRAME, Rig
from any2seg_sim.sensors.events import LOG_FLOOR
from any2seg_sim.settings import DriveSettings
from any2seg_sim.shading import sky_radiance
from any2seg_sim.simulation import SliceRenderer, render_drive

SMALL = DriveSettings(
    seed=2, duration_s=0.3, width=96, height=64, subframes=3, lidar_rings=32, lidar_columns=512, noise=False
)


@pytest.fixture(scope="module")
def drive():
    return list(render_drive(SMALL))


@pytest.fixture(scope="module")
def renderer():
    return SliceRenderer(SMALL)


def of(drive, modality):
    return [reading for reading in drive if reading.frame.modality == modality]


def test_sizes_types_and_frames(drive):
    rgb, depth, event, lidar = (of(drive, modality)[0] for modality in ("rgb", "depth", "event", "lidar"))
    assert (rgb.frame.data.shape, rgb.frame.data.dtype) == ((64, 96, 3), np.uint8)
    assert (rgb.labels.shape, rgb.labels.dtype) == ((64, 96), np.uint8)
    assert (depth.frame.data.shape, depth.frame.data.dtype) == ((64, 96), np.float32)
    assert (event.frame.data.width, event.frame.data.height) == (96, 64)
    assert lidar.rings.shape == lidar.labels.shape == (len(lidar.frame.data),)
    assert lidar.rings.dtype == np.uint16
    assert len(lidar.frame.data) > 0.6 * 32 * 512
    assert {reading.frame.frame_id for reading in drive} == {
        "camera_optical_frame",
        "event_camera_optical_frame",
        "lidar",
    }


def test_stamps_and_order(drive):
    start, step = SMALL.start_ns, 100_000_000
    for modality in (Modality.RGB, Modality.DEPTH, Modality.LIDAR):
        assert [r.frame.stamp_ns for r in of(drive, modality)] == [start + k * step for k in (1, 2, 3)]
    ends = [reading.frame.end_ns for reading in of(drive, Modality.EVENT)]
    assert ends == [start + round(k * 1e9 / 30) for k in range(1, 10)]
    arrivals = [reading.frame.end_ns for reading in drive]
    assert arrivals == sorted(arrivals)
    for reading in of(drive, Modality.EVENT):
        assert reading.frame.stamp_ns == reading.frame.data.t_ns[0]
        assert reading.frame.data.t_ns[-1] <= reading.frame.end_ns


def test_sensors_at_rates_of_their_own():
    settings = dataclasses.replace(SMALL, rate_hz=15.0, lidar_rate_hz=20.0, duration_s=0.2, subframes=1)
    made = list(render_drive(settings))
    assert [len(of(made, modality)) for modality in ("rgb", "depth", "event", "lidar")] == [3, 3, 3, 4]


def test_daylight_is_well_exposed_and_the_sky_is_above(drive):
    image, labels = of(drive, Modality.RGB)[-1].frame.data, of(drive, Modality.RGB)[-1].labels
    assert 70 < image.mean() < 180
    assert np.mean(image.max(-1) == 255) < 0.1
    assert np.mean(labels[:8] == Label.SKY) > 0.3
    assert np.mean(np.isin(labels[-8:], [Label.ROAD, Label.ROAD_LINE])) > 0.8
    sky = image[labels == Label.SKY].mean(0)
    assert sky[2] > sky[0] + 10


def test_the_sky_has_no_seam(renderer):
    """Looking up and all around, neighbouring directions have like colours."""
    light = renderer._scene.light.sun
    turn = np.linspace(0, 2 * np.pi, 2000)
    ring = np.stack([np.cos(turn) * 0.9, np.sin(turn) * 0.9, np.full(2000, np.sqrt(0.19))], 1)
    colours = np.array([sky_radiance(*ray, light) for ray in ring])
    assert np.abs(np.diff(np.r_[colours, colours[:1]], axis=0)).max() < 0.03


def test_lidar_projected_into_the_camera_meets_its_own_class(drive):
    """>= 98 % of the points that the camera can see, away from edges of the label image, have its class."""
    rig, agree, total = Rig.of(SMALL), 0, 0
    for rgb, depth, lidar in zip(*(of(drive, name) for name in ("rgb", "depth", "lidar")), strict=True):
        uv, z, index = visible_points(lidar.frame.data, rig.lidar_to_camera, rig.camera)
        row, column = cells(uv)
        around = np.lib.stride_tricks.sliding_window_view(np.pad(rgb.labels, 2, mode="edge"), (5, 5))
        same = around.max((2, 3)) == around.min((2, 3))
        unhidden = z < depth.frame.data[row, column] * 1.05 + 0.1
        use = same[row, column] & unhidden
        agree += np.count_nonzero(rgb.labels[row, column][use] == lidar.labels[index][use])
        total += np.count_nonzero(use)
    assert total > 1000
    assert agree / total >= 0.98


def test_depth_equals_lidar_geometry_to_a_centimetre(drive, renderer):
    """A camera ray sent exactly at a LiDAR point ends there, unless something stands before it."""
    rig, lidar = Rig.of(SMALL), of(drive, Modality.LIDAR)[-1]
    pose = renderer._look(lidar.frame.stamp_ns) @ rig.camera_in_base
    points = lidar.frame.data.xyz.astype(np.float64) @ rig.lidar_to_camera[:3, :3].T + rig.lidar_to_camera[:3, 3]
    uv, valid = project_points(points, rig.camera)
    ahead = valid & (points[:, 2] < 60)
    k = rig.camera.k
    rays = np.stack([(uv[ahead, 0] - k[0, 2]) / k[0, 0], (uv[ahead, 1] - k[1, 2]) / k[1, 1], np.ones(ahead.sum())], 1)
    length = np.linalg.norm(rays, axis=1)
    reached = renderer._renderer.cast(pose, (rays / length[:, None]).astype(np.float32))
    error = reached.distance / length - points[ahead, 2]
    assert np.mean(np.abs(error) < 0.01) > 0.9
    # What ends elsewhere ends before the point: hidden from the camera. Behind it lies only what a grazing ray missed.
    assert np.mean(error > 0.01) < 0.01


def test_depth_image_puts_the_road_at_height_zero(drive, renderer):
    rig, depth, rgb = Rig.of(SMALL), of(drive, Modality.DEPTH)[1], of(drive, Modality.RGB)[1]
    pose = renderer._look(depth.frame.stamp_ns) @ rig.camera_in_base
    row, column = np.nonzero((rgb.labels == Label.ROAD) & (depth.frame.data < 30))
    z = depth.frame.data[row, column].astype(np.float64)
    k = rig.camera.k
    points = np.stack([(column - k[0, 2]) / k[0, 0] * z, (row - k[1, 2]) / k[1, 1] * z, z, np.ones_like(z)])
    assert len(z) > 500
    assert np.abs((pose @ points)[2]).max() < 0.01


def test_only_the_sky_has_no_depth(drive):
    for rgb, depth in zip(of(drive, Modality.RGB), of(drive, Modality.DEPTH), strict=True):
        np.testing.assert_array_equal(np.isnan(depth.frame.data), rgb.labels == Label.SKY)
        assert rgb.labels.max() < len(DELIVER_CLASSES)


def test_events_add_up_to_the_films_change(drive, renderer):
    first, last = renderer.slice(1).film[0][1], renderer.slice(3).film[-1][1]
    change = np.log(last + LOG_FLOOR) - np.log(first + LOG_FLOOR)
    total = np.zeros((64, 96))
    for reading in of(drive, Modality.EVENT):
        events = reading.frame.data
        np.add.at(total, (events.y, events.x), np.where(events.polarity == 1, 1.0, -1.0) * SMALL.event_threshold)
    assert np.count_nonzero(total) > 300
    assert np.abs(change - total).max() < SMALL.event_threshold + 1e-3


def test_a_street_without_motion_makes_no_events():
    """Every render setting is the same in every sub-frame: with nothing moving, nothing changes."""
    settings = dataclasses.replace(SMALL, speed_mps=0.0, duration_s=0.1)
    still = SliceRenderer(settings)
    still._scene = dataclasses.replace(still._scene, movers=())
    still._renderer = type(still._renderer)(still._scene, samples=settings.samples)
    pose = still._scene.drive.pose(0.0) @ Rig.of(settings).camera_in_base
    images = []
    for t_s in (0.0, 0.05):
        still._renderer.set_time(t_s)
        images.append(still._renderer.radiance(Rig.of(settings).camera, pose))
    np.testing.assert_array_equal(*images)


def test_equal_settings_give_equal_bytes_on_any_number_of_workers():
    settings = dataclasses.replace(SMALL, noise=True, duration_s=0.4, subframes=2)
    alone, spread = list(render_drive(settings)), list(render_drive(settings, workers=2))
    assert len(alone) == len(spread)
    for one, other in zip(alone, spread, strict=True):
        assert fingerprint(one) == fingerprint(other)
    different = next(iter(render_drive(dataclasses.replace(settings, seed=3))))
    assert fingerprint(different) != fingerprint(alone[0])


def fingerprint(reading):
    frame, data = reading.frame, reading.frame.data
    arrays = [data] if isinstance(data, np.ndarray) else [v for v in vars(data).values() if isinstance(v, np.ndarray)]
    arrays += [extra for extra in (reading.labels, reading.rings) if extra is not None]
    return frame.modality, frame.stamp_ns, frame.end_ns, [(a.dtype, a.shape, a.tobytes()) for a in arrays]


def test_noise_touches_measurements_and_never_the_truth(drive):
    noisy = list(render_drive(dataclasses.replace(SMALL, noise=True)))
    for clean, dirty in zip(of(drive, Modality.RGB), of(noisy, Modality.RGB), strict=True):
        np.testing.assert_array_equal(clean.labels, dirty.labels)
        assert np.any(clean.frame.data != dirty.frame.data)
    assert len(of(noisy, Modality.LIDAR)[0].frame.data) < len(of(drive, Modality.LIDAR)[0].frame.data)


def test_a_reading_can_be_moved_in_time(drive):
    event, lidar = of(drive, Modality.EVENT)[0], of(drive, Modality.LIDAR)[0]
    assert event.shifted(7).frame.stamp_ns == event.frame.stamp_ns + 7
    assert event.shifted(7).frame.data.t_ns[0] == event.frame.data.t_ns[0] + 7
    assert lidar.shifted(-5).frame.end_ns == lidar.frame.end_ns - 5
    assert lidar.shifted(-5).frame.data is lidar.frame.data


def test_the_rig_follows_rep_103():
    rig = Rig.of(DriveSettings(width=320, height=240, fov_deg=90))
    assert rig.camera.k[0, 0] == pytest.approx(160)
    ahead = rig.lidar_to_camera @ [10, 0, 0, 1]
    left = rig.lidar_to_camera @ [10, 1, 0, 1]
    assert ahead[2] == pytest.approx(10 - 0.3)
    assert left[0] == pytest.approx(ahead[0] - 1)
    assert ahead[1] == pytest.approx(-0.35)
    children = {child: (parent, pose) for parent, child, pose in rig.transforms}
    assert set(children) == {"camera_optical_frame", "event_camera_optical_frame", "lidar"}
    assert children["lidar"][0] == BASE_FRAME
    np.testing.assert_array_equal(children["event_camera_optical_frame"][1], np.eye(4))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, r"found width 0 \(expected 16 to 4096\)"),
        ({"height": 9999}, "found height 9999"),
        ({"duration_s": -1.0}, "found duration_s -1"),
        ({"samples": 3}, r"found samples 3 \(expected one of 1, 2, 4\)"),
        ({"subframes": 0, "fov_deg": 190.0}, "fov_deg 190.0 .*subframes 0 .*choose values within the bounds"),
        ({"rate_hz": float("nan")}, "rate_hz nan"),
    ],
)
def test_impossible_settings_say_what_is_possible(wrong, message):
    with pytest.raises(ConfigError, match=message):
        DriveSettings(**wrong)


def test_no_workers_is_an_error():
    with pytest.raises(Any2SegError, match="found 0 workers, expected at least 1"):
        render_drive(SMALL, workers=0)


def test_a_killed_worker_is_reported(monkeypatch):
    monkeypatch.setattr(simulation._Worker, "run", dying)
    with pytest.raises(Any2SegError, match=r"found a rendering process dead .*ask for fewer workers"):
        list(render_drive(dataclasses.replace(SMALL, duration_s=0.2), workers=2))


def dying(index):
    os._exit(1)


def test_preview_has_a_row_per_moment_and_a_column_per_sensor():
    settings = dataclasses.replace(SMALL, noise=True)
    assert preview_sheet(settings, moments=2).shape == (2 * 64, 5 * 96, 3)
    with pytest.raises(ConfigError, match="found 0 moments, expected at least 1"):
        preview_sheet(settings, moments=0)
