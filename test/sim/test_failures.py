# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Failing sensors: each failure spoils its own sensor, as physics would have it, and nothing else."""

import dataclasses

import numpy as np
import pytest

from any2seg_core.errors import ConfigError
from any2seg_sim.sensors.camera import expose
from any2seg_sim.settings import FAILURES, DriveSettings
from any2seg_sim.simulation import render_moments
from any2seg_sim.suite import Modality, SensorSuite

SOUND = DriveSettings(
    seed=2, duration_s=0.4, width=96, height=64, samples=1, subframes=2, lidar_rings=16, lidar_columns=256
)
T_S = 0.25
SPOILT = {
    "motionblur": "rgb",
    "overexposure": "rgb",
    "underexposure": "rgb",
    "lidarjitter": "lidar",
    "eventlowres": "events",
}


@pytest.fixture(scope="module")
def moments():
    return {
        failure: next(iter(render_moments(dataclasses.replace(SOUND, failure=failure), [T_S])))
        for failure in ("", *FAILURES)
    }


def content(reading):
    data = reading.frame.data
    arrays = [data] if isinstance(data, np.ndarray) else [v for v in vars(data).values() if isinstance(v, np.ndarray)]
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_spoils_one_sensor_only(moments, failure):
    sound, failing = moments[""], moments[failure]
    different = [
        name
        for name in ("rgb", "depth", "events", "lidar")
        if content(getattr(sound, name)) != content(getattr(failing, name))
    ]
    assert different == [SPOILT[failure]]
    np.testing.assert_array_equal(sound.rgb.labels, failing.rgb.labels)


def grey(moment):
    return moment.rgb.frame.data.astype(float).mean(-1)


def sharpness(moment):
    return np.abs(np.diff(grey(moment), axis=1)).mean()


def test_a_long_exposure_is_the_mean_of_linear_light():
    settings = dataclasses.replace(SOUND, exposure_s=0.016, noise=False)
    (moment,) = render_moments(settings, [T_S])
    suite = SensorSuite(dataclasses.replace(SOUND, noise=False))
    instants = []
    for t_s in (T_S - 0.008, T_S, T_S + 0.008):
        suite.renderer.set_time(t_s)
        instants.append(suite.renderer.radiance(suite.rig.camera, suite.pose(Modality.RGB, t_s)))
    expected = expose(np.mean(instants, 0), exposure=suite.weather.exposure)
    assert np.abs(moment.rgb.frame.data.astype(int) - expected).max() <= 1
    assert moment.rgb.frame.stamp_ns == moment.stamp_ns
    assert moment.rgb.frame.end_ns == moment.stamp_ns + 8_000_000


def test_motion_blurs(moments):
    assert sharpness(moments["motionblur"]) < 0.9 * sharpness(moments[""])
    assert grey(moments["motionblur"]).mean() == pytest.approx(grey(moments[""]).mean(), rel=0.05)


def test_wrong_exposure_loses_the_highlights_or_the_shadows(moments):
    white = {name: np.mean(moments[name].rgb.frame.data == 255) for name in ("", "overexposure", "underexposure")}
    assert white[""] < 0.1
    assert white["overexposure"] > white[""] + 0.1
    assert white["underexposure"] == 0
    levels = {name: len(np.unique(moments[name].rgb.frame.data)) for name in ("", "underexposure")}
    assert levels["underexposure"] < 0.6 * levels[""]
    assert grey(moments["underexposure"]).mean() < 0.4 * grey(moments[""]).mean()


def test_a_loose_lidar_tilts_the_ground():
    """The planes of the ground in two sweeps differ by around a degree, from sweep to sweep anew."""
    settings = dataclasses.replace(SOUND, noise=False, failure="lidarjitter")
    tilts = []
    for moment in render_moments(settings, [0.1, 0.2, 0.3, 0.4]):
        xyz = moment.lidar.frame.data.xyz
        ground = xyz[(moment.lidar.labels == 6) & (np.abs(xyz[:, 0]) < 15)]
        plane, *_ = np.linalg.lstsq(np.c_[ground[:, :2], np.ones(len(ground))], ground[:, 2], rcond=None)
        tilts.append(np.degrees(np.arctan(plane[:2])))
    assert 0.2 < np.std(tilts) < 3


def test_a_coarse_event_camera_sees_the_same_street_with_fewer_pixels(moments):
    fine, coarse = (moments[name].events.frame.data for name in ("", "eventlowres"))
    assert (coarse.width, coarse.height) == (24, 16)
    assert coarse.x.max() < 24
    assert coarse.y.max() < 16
    assert 0 < len(coarse) < 0.3 * len(fine)
    size = {"bins": (16, 24), "range": ((0, 64), (0, 96))}
    where = (
        np.histogram2d(fine.y, fine.x, **size)[0],
        np.histogram2d(coarse.y, coarse.x, (16, 24), ((0, 16), (0, 24)))[0],
    )
    assert np.corrcoef(where[0].reshape(-1), where[1].reshape(-1))[0, 1] > 0.3


def test_an_unknown_failure_is_refused_by_name():
    with pytest.raises(
        ConfigError, match=r"found failure 'snow' \(expected one of nothing, motionblur, .*eventlowres\)"
    ):
        DriveSettings(failure="snow")
