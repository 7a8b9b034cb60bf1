# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A small drive: geometry, classes, events, stamps and determinism of what the simulator makes."""

import dataclasses
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Modality
from any2seg_sim import simulation
from any2seg_sim.materials import Label
from any2seg_sim.preview import preview_sheet
from any2seg_sim.sensors.camera import luminance
from any2seg_sim.sensors.events import LOG_FLOOR
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_drive
from any2seg_sim.suite import SensorSuite

SMALL = DriveSettings(
    seed=2, duration_s=0.3, width=96, height=64, subframes=3, lidar_rings=32, lidar_columns=512, noise=False
)


@pytest.fixture(scope="module")
def drive():
    return list(render_drive(SMALL))


STILL = (Label.BUILDING, Label.ROAD, Label.ROAD_LINE, Label.SIDE_WALK, Label.POLE, Label.SKY)


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
    settings = dataclasses.replace(SMALL, rate_hz=20.0, lidar_rate_hz=30.0, subframes=1)
    made = list(render_drive(settings))
    assert [len(of(made, modality)) for modality in ("rgb", "depth", "event", "lidar")] == [6, 6, 6, 9]


def test_a_depth_sensor_at_its_own_rate():
    settings = dataclasses.replace(SMALL, depth_rate_hz=25.0, subframes=1)
    stamps = [reading.frame.stamp_ns - SMALL.start_ns for reading in of(render_drive(settings), Modality.DEPTH)]
    assert stamps == [40_000_000 * index for index in range(1, 8)]


def test_clocks_that_are_ahead_show_in_stamps_and_not_in_arrival(drive):
    ahead = {"camera_offset_s": 0.02, "depth_offset_s": -0.5, "event_offset_s": 3.0, "lidar_offset_s": 0.0001}
    made = list(render_drive(dataclasses.replace(SMALL, **ahead)))
    offset_ns = {
        Modality.RGB: 20_000_000,
        Modality.DEPTH: -500_000_000,
        Modality.EVENT: 3_000_000_000,
        Modality.LIDAR: 100_000,
    }
    assert len(made) == len(drive)
    for true, stamped in zip(drive, made, strict=True):
        by_ns = offset_ns[true.frame.modality]
        assert stamped.frame.modality == true.frame.modality
        assert stamped.ready_ns == true.ready_ns == true.frame.end_ns
        assert stamped.frame.stamp_ns == true.frame.stamp_ns + by_ns
        assert stamped.frame.end_ns == true.frame.end_ns + by_ns
    first, second = (of(readings, Modality.EVENT)[0].frame.data.t_ns for readings in (drive, made))
    np.testing.assert_array_equal(second - first, 3_000_000_000)


def test_a_long_exposure_arrives_after_what_comes_meanwhile():
    settings = dataclasses.replace(SMALL, exposure_s=0.09, subframes=4, lidar_rate_hz=40.0)
    made = list(render_drive(settings))
    ready = [reading.ready_ns for reading in made]
    assert ready == sorted(ready)
    image = made.index(of(made, Modality.RGB)[0])
    assert made[image].frame.stamp_ns == SMALL.start_ns + 100_000_000
    assert made[image].ready_ns == SMALL.start_ns + 145_000_000
    assert made[image - 1].ready_ns == SMALL.start_ns + 125_000_000


def test_sweeps_that_roll_end_when_they_arrive():
    settings = dataclasses.replace(SMALL, lidar_rolling=True)
    for number, reading in enumerate(of(render_drive(settings), Modality.LIDAR)):
        assert reading.frame.stamp_ns == SMALL.start_ns + number * 100_000_000
        assert reading.frame.end_ns == reading.ready_ns == SMALL.start_ns + (number + 1) * 100_000_000
        assert reading.times_ns.max() == 100_000_000


def test_daylight_is_well_exposed_and_the_sky_is_above(drive):
    image, labels = of(drive, Modality.RGB)[-1].frame.data, of(drive, Modality.RGB)[-1].labels
    assert 70 < image.mean() < 180
    assert np.mean(image.max(-1) == 255) < 0.1
    assert np.mean(labels[:8] == Label.SKY) > 0.3
    assert np.mean(np.isin(labels[-8:], [Label.ROAD, Label.ROAD_LINE])) > 0.8
    sky = image[labels == Label.SKY].mean(0)
    assert sky[2] > sky[0] + 10


@pytest.mark.parametrize("weather", ["sun", "cloud", "fog"])
def test_what_does_not_move_makes_no_events(weather):
    """Every render setting is the same in every sub-frame: with nothing moving, nothing changes."""
    suite = SensorSuite(dataclasses.replace(SMALL, weather=weather))
    pose = suite.pose(Modality.EVENT, 0.2)
    images = []
    for t_s in (0.2, 0.3, 0.2):
        suite.renderer.set_time(t_s)
        images.append(suite.renderer.radiance(suite.rig.camera, pose))
    still = suite.renderer.truth(suite.rig.camera, pose)[1]
    suite.renderer.set_time(0.3)
    never_moved = np.isin(still, STILL) & (still == suite.renderer.truth(suite.rig.camera, pose)[1])
    np.testing.assert_array_equal(images[0], images[2])
    # What moves also shades the open sky a little around it; that is far below what makes an event.
    before, after = (np.log(luminance(image) + LOG_FLOOR)[never_moved] for image in images[:2])
    assert np.mean(np.abs(after - before) < 0.1) > 0.97


def test_equal_settings_give_equal_bytes_on_any_number_of_workers():
    settings = dataclasses.replace(SMALL, noise=True, subframes=2)
    alone, spread = list(render_drive(settings)), list(render_drive(settings, workers=2))
    assert len(alone) == len(spread)
    for one, other in zip(alone, spread, strict=True):
        assert fingerprint(one) == fingerprint(other)
    different = next(iter(render_drive(dataclasses.replace(settings, seed=3))))
    assert fingerprint(different) != fingerprint(alone[0])


def fingerprint(reading):
    frame, data = reading.frame, reading.frame.data
    arrays = [data] if isinstance(data, np.ndarray) else [v for v in vars(data).values() if isinstance(v, np.ndarray)]
    known = (reading.labels, reading.rings, reading.times_ns, reading.exact)
    arrays += [extra for extra in known if extra is not None]
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


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, r"found width 0 \(expected 16 to 4096\)"),
        ({"height": 9999}, "found height 9999"),
        ({"duration_s": -1.0}, "found duration_s -1"),
        ({"samples": 3}, r"found samples 3 \(expected one of 1, 2, 4\)"),
        ({"subframes": 0, "fov_deg": 190.0}, "fov_deg 190.0 .*subframes 0 .*choose values within the bounds"),
        ({"rate_hz": float("nan")}, "rate_hz nan"),
        (
            {"width": "wide", "seed": 1.5},
            "found seed 1.5 .expected a whole number.; width 'wide' .expected a whole number",
        ),
        ({"noise": 1, "weather": None, "speed_mps": True}, "speed_mps True .*weather None .*noise 1 .expected true or"),
        ({"weather": "hail"}, r"weather 'hail' \(expected one of cloud, fog, night, rain, sun\)"),
        ({"rig": "bus", "depth_kind": "sonar"}, "rig 'bus' .*aligned, vehicle.*; depth_kind 'sonar' .*stereo, tof"),
        ({"distortion": "fisheye"}, "'fisheye' .expected one of none, plumb_bob, rational_polynomial, equidistant"),
        ({"depth_min_m": 9.0, "depth_max_m": 3.0}, r"depth_min_m 9.0 \(expected less than depth_max_m, 3.0\)"),
        ({"lidar_lowest_deg": 20.0}, "lidar_lowest_deg 20.0 .*less than lidar_highest_deg"),
        ({"exposure_s": 1.0, "event_noise_hz": -1.0}, "exposure_s 1.0 .*event_noise_hz -1.0"),
    ],
)
def test_impossible_settings_say_what_is_possible(wrong, message):
    with pytest.raises(ConfigError, match=message):
        DriveSettings(**wrong)


def test_no_workers_is_an_error():
    with pytest.raises(Any2SegError, match="found 0 workers, expected at least 1"):
        render_drive(SMALL, workers=0)


def test_a_killed_worker_is_reported(monkeypatch):
    monkeypatch.setattr(simulation._Worker, "run", os._exit)
    with pytest.raises(Any2SegError, match=r"found a rendering process dead .*ask for fewer workers"):
        list(render_drive(SMALL, workers=2))


def test_processes_of_a_drive_that_nobody_wants_any_more_go_at_once():
    """As after Ctrl-C: what they work on is given up, not waited for."""
    others = set(multiprocessing.active_children())
    drive = render_drive(dataclasses.replace(SMALL, width=640, height=480, duration_s=3.0), workers=2)
    next(drive)
    mine = set(multiprocessing.active_children()) - others
    assert len(mine) == 2
    drive.close()
    # The pool's own thread may have asked for an exit code first, and writes it down a moment later.
    deadline = time.monotonic() + 10.0
    while any(process.exitcode is None for process in mine) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [process.exitcode for process in mine] == [-signal.SIGTERM] * 2


def test_preview_has_a_row_per_moment_and_a_column_per_sensor():
    settings = dataclasses.replace(SMALL, noise=True, failure="eventlowres", weather="night")
    assert preview_sheet(settings, moments=2).shape == (2 * 64, 5 * 96, 3)
    with pytest.raises(ConfigError, match="found 0 moments, expected at least 1"):
        preview_sheet(settings, moments=0)
