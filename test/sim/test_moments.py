# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Moments: each depends on the settings and its time alone, and equals what the drive gives then."""

import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_drive, render_moments

SMALL = DriveSettings(
    seed=2, duration_s=0.4, width=96, height=64, samples=1, subframes=3, lidar_rings=16, lidar_columns=256
)
TIMES = (0.4, 0.1, 0.25)


def fingerprint(reading):
    frame, data = reading.frame, reading.frame.data
    arrays = [data] if isinstance(data, np.ndarray) else [v for v in vars(data).values() if isinstance(v, np.ndarray)]
    known = (reading.labels, reading.rings, reading.times_ns, reading.exact)
    arrays += [extra for extra in known if extra is not None]
    return frame.modality, frame.stamp_ns, frame.end_ns, [(a.dtype, a.shape, a.tobytes()) for a in arrays]


def fingerprints(moment):
    return [fingerprint(reading) for reading in (moment.rgb, moment.depth, moment.events, moment.lidar)]


ELSEWHERE = """
import pickle, sys
from any2seg_sim.simulation import render_moments
settings, times = pickle.load(sys.stdin.buffer)
pickle.dump(list(render_moments(settings, times)), sys.stdout.buffer)
"""


def in_another_process(settings, times):
    made = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=pickle.dumps((settings, times)), stdout=-1, check=True
    )
    return [fingerprints(moment) for moment in pickle.loads(made.stdout)]  # noqa: S301  of our own making


def alone(settings, t_s):
    (moment,) = render_moments(settings, [t_s])
    return fingerprints(moment)


@pytest.fixture(scope="module")
def moments():
    return list(render_moments(SMALL, TIMES))


def test_a_moment_holds_four_sensors_and_what_is_true(moments):
    assert [moment.t_s for moment in moments] == list(TIMES)
    for moment in moments:
        assert moment.stamp_ns == SMALL.start_ns + round(moment.t_s * 1e9)
        for reading in (moment.rgb, moment.depth, moment.lidar):
            assert reading.frame.stamp_ns == moment.stamp_ns
        assert moment.rgb.frame.data.shape == (64, 96, 3)
        assert moment.rgb.labels.shape == moment.depth.exact.shape == (64, 96)
        assert moment.lidar.labels.shape == moment.lidar.times_ns.shape == (len(moment.lidar.frame.data),)
        assert {moment.rgb.frame.modality, moment.events.frame.modality} == {Modality.RGB, Modality.EVENT}


def test_events_fill_the_window_that_ends_at_the_moment(moments):
    for moment in moments:
        events = moment.events.frame
        assert events.end_ns == moment.stamp_ns
        assert events.data.t_ns[0] > moment.stamp_ns - 50_000_000
        assert events.data.t_ns[-1] <= moment.stamp_ns
        # The pixels don't start from rest: the first third of the window is as busy as the others.
        thirds = np.histogram(events.data.t_ns, 3, (moment.stamp_ns - 50_000_000, moment.stamp_ns))[0]
        assert thirds.min() > 0.5 * thirds.max()
        assert thirds.min() > 50


def test_a_moment_is_the_same_in_any_order_and_process(moments):
    expected = [fingerprints(moment) for moment in moments]
    assert in_another_process(SMALL, sorted(TIMES)) == [expected[1], expected[2], expected[0]]
    assert alone(SMALL, 0.25) == expected[2]
    different = alone(dataclasses.replace(SMALL, seed=3), 0.25)
    assert all(one != other for one, other in zip(different, expected[2], strict=True))


def test_a_moment_is_what_the_drive_gives_then(moments):
    made = {
        (reading.frame.modality, reading.frame.stamp_ns): reading
        for reading in render_drive(SMALL)
        if reading.frame.modality != Modality.EVENT
    }
    for moment in moments[:2]:
        for reading in (moment.rgb, moment.depth, moment.lidar):
            same = made[reading.frame.modality, moment.stamp_ns]
            assert fingerprint(same) == fingerprint(reading)


def test_a_rolling_sweep_begins_a_turn_before_the_moment():
    settings = dataclasses.replace(SMALL, lidar_rolling=True, speed_mps=15.0, noise=False)
    (rolling,) = render_moments(settings, [0.4])
    (snapshot,) = render_moments(dataclasses.replace(settings, lidar_rolling=False), [0.4])
    frame, times = rolling.lidar.frame, rolling.lidar.times_ns
    assert frame.end_ns == rolling.stamp_ns
    assert frame.stamp_ns == rolling.stamp_ns - 100_000_000
    assert times.min() > 0
    assert times.max() == 100_000_000
    assert np.all(np.diff(times) >= 0)
    assert not snapshot.lidar.times_ns.any()
    assert snapshot.lidar.frame.stamp_ns == snapshot.stamp_ns
    # The end of the turn, to the right of behind, is taken from the same place; the beginning is not.
    last, first = np.max(rolling.lidar.frame.data.xyz[times == times.max()], 0), times == times.min()
    ends = snapshot.lidar.frame.data.xyz[-np.count_nonzero(times == times.max()) :]
    np.testing.assert_allclose(last, ends.max(0), atol=1e-3)
    begin = snapshot.lidar.frame.data.xyz[: np.count_nonzero(first)]
    assert np.abs(rolling.lidar.frame.data.xyz[first] - begin).max() > 0.5


@pytest.mark.parametrize("times", [[0.01], [0.2, 0.41], [float("nan")], [-1.0, 0.2]])
def test_times_outside_the_drive_are_refused_at_once(times):
    with pytest.raises(ConfigError, match=r"moments: found times .* s, expected 0.05 to 0.4 s, .* longer duration_s"):
        render_moments(SMALL, times)
    with pytest.raises(ConfigError, match=r"expected 0.1 to 0.4 s"):
        render_moments(dataclasses.replace(SMALL, lidar_rolling=True), [0.07])
