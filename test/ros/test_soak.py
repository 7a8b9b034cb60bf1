# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A short soak, which says the same as a long one but for memory, and what a soak must not let pass.

ANY2SEG_SOAK_S in the environment makes it longer.
"""

import os

import pytest

from any2seg_core.frames import Modality
from any2seg_sim.settings import DriveSettings

pytest.importorskip("rclpy")
pytest.importorskip("embreex")

from any2seg_sim.trial import soak as module
from any2seg_sim.trial.damage import unstamped
from any2seg_sim.trial.player import Drive
from any2seg_sim.trial.soak import Sample, SoakReport, SoakSettings, soak
from any2seg_sim.trial.storm import AFTERMATH_S, FAILING_S, Storm

SECONDS = float(os.environ.get("ANY2SEG_SOAK_S", "25"))
MOST_GROWTH = 0.1
"""A few seconds of warm-up leave caches to fill; a leak of every image would be many times this."""


@pytest.fixture(scope="module")
def drive():
    return Drive(DriveSettings(duration_s=1.0, width=64, height=48, samples=1, lidar_rings=16, lidar_columns=128))


@pytest.mark.slow
def test_a_node_under_random_faults_neither_stops_nor_fills_up_nor_loses_its_order(ros, drive):
    report = soak(drive, "/soak", SoakSettings(SECONDS, fault_seed=3, short_side_px=32))
    # How long things take is this machine's business here, and memory that of a longer soak.
    problems = [problem for problem in report.problems if not problem.startswith(("memory", "outputs came later"))]
    assert problems == [], report.verdict
    assert report.growth < MOST_GROWTH, report.verdict
    assert report.outputs > report.expected / 4, report.verdict
    assert sum(report.faults.values()) >= 4
    assert report.samples[-1].second > 0.8 * SECONDS
    assert report.samples[-1].frames_held < 1000


@pytest.mark.slow
def test_a_node_that_stands_still_is_noticed_and_its_stacks_are_told(ros, drive, monkeypatch, capfd):
    monkeypatch.setattr(module, "LONGEST_SILENCE_S", 1.0)
    monkeypatch.setattr(module, "UNANSWERED", 20)
    monkeypatch.setattr(module, "Storm", lambda seed, length_s: Stuck(seed, length_s))
    report = soak(drive, "/soak_stuck", SoakSettings(30.0, short_side_px=32))
    assert report.problems[0] == "no output for 1 s: stacks on stderr"
    assert "Thread 0x" in capfd.readouterr().err


class Stuck(Storm):
    """Of everything that arrives, nothing has a stamp."""

    def spoil(self, _):
        return lambda _, message: [(0, unstamped(message))]


def test_a_storm_is_a_function_of_its_seed_and_leaves_sound_times():
    storm, again, other = Storm((1, 2), 60.0), Storm((1, 2), 60.0), Storm((1, 3), 60.0)
    assert storm.script == again.script
    assert storm.drawn == again.drawn
    assert storm.script != other.script
    assert {fault.modality for fault in storm.script.faults} <= set(Modality)
    for fault in storm.script.faults:
        assert FAILING_S[0] <= fault.end_s - fault.start_s <= FAILING_S[1]
        middle_s = (fault.start_s + fault.end_s) / 2
        assert not storm.sound_at(middle_s)
        assert not storm.sound_at(fault.end_s + AFTERMATH_S / 2)
    assert any(storm.sound_at(moment) for moment in range(60))


def report_of(**values):
    return SoakReport(outputs=5, samples=[Sample(1.0, 1, 1, 1.5)], **values)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"growth": 0.021}, "memory grew by 2.1%"),
        ({"growth": 0.019}, None),
        ({"first_third_ms": (20.0, 30.0), "last_third_ms": (51.0, 60.0)}, "outputs came later in the end"),
        ({"first_third_ms": (20.0, 30.0), "last_third_ms": (49.0, 300.0)}, None),
        ({"frames_held": (20, 61)}, "more frames were held in the end"),
        ({"frames_held": (20, 59)}, None),
    ],
)
def test_what_grows_is_named(values, problem):
    assert module.grown(report_of(**values)) == ([problem] if problem else [])


def test_the_verdict_is_one_line():
    report = report_of(faults={"dropout": 2, "noise": 1}, expected=6, rss_mb=(500.0, 505.0), growth=0.01)
    assert report.verdict == (
        "soak of 0.0 min, 3 faults: passed; memory 500 -> 505 MB (+1.00%), latency p50/p95 0/0 -> 0/0 ms, "
        "frames held 0 -> 0, 5 outputs for 6 images, longest silence 0.0 s, machine's load up to 1.5"
    )
