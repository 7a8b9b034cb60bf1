# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The fault matrix's own code on a choice of its rows, and on what must not pass for survival."""

import pytest

from any2seg_sim.settings import DriveSettings

pytest.importorskip("rclpy")
pytest.importorskip("embreex")

from any2seg_sim.trial.bench import Fault, Timing, open_bench
from any2seg_sim.trial.cases import KINDS, NAMES, SENSORS
from any2seg_sim.trial.ear import Output, Report, Served, Status
from any2seg_sim.trial.matrix import fault_matrix, names
from any2seg_sim.trial.player import Drive
from any2seg_sim.trial.row import Row, longest_gap_ms, mostly_used, steps_back
from any2seg_sim.trial.said import said_of
from any2seg_sim.trial.table import page, verdict

TIMING = Timing(before_s=0.1, fault_s=1.2)
MS = 1_000_000
# Each kind of fault once, each sensor twice or more; all rows are the command's.
CHOSEN = (
    "camera dropped",
    "depth frozen, old stamps",
    "LiDAR delayed by 150 ms",
    "event camera at 3x its rate",
    "depth wrong encoding",
    "camera cut off",
    "LiDAR full of NaN",
    "event camera stamps zero",
    "depth stamps 5 s back",
    "camera stamps an hour ahead",
    "CameraInfo missing",
    "TF 500 ms late",
    "node deactivated mid-frame",
    "two nodes in one process",
)
FEWER = {
    "camera dropped": "depth+event+lidar",
    "depth frozen, old stamps": "rgb+event+lidar",
    "depth wrong encoding": "rgb+event+lidar",
    "camera cut off": "depth+event+lidar",
    "LiDAR full of NaN": "rgb+depth+event",
    "CameraInfo missing": "rgb+depth+event",
    "TF 500 ms late": "rgb+depth+event",
}


@pytest.fixture(scope="module")
def drive():
    return Drive(DriveSettings(duration_s=1.0, width=64, height=48, samples=1, lidar_rings=16, lidar_columns=128))


@pytest.fixture(scope="module")
def rows(ros, drive):
    found = fault_matrix(drive, "/fault_matrix", TIMING, wanted=CHOSEN.__contains__)
    return {row.fault: row for row in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_the_node_survives_keeps_its_order_says_what_it_sees_and_recovers(rows, name):
    row = rows[name]
    assert row.survived, row
    assert row.used == FEWER.get(name, row.used), row
    if "deactivated" not in name:
        # A third and not all: other programs may keep this machine busy.
        assert row.published >= row.expected // 3, row
    assert row.back_ms is not None


@pytest.mark.slow
def test_a_node_that_says_nothing_or_does_not_recover_has_not_survived(ros, drive):
    def deaf(_, message):
        return []

    with open_bench(drive, "/fault_matrix_fails") as bench:
        bench.settle()
        unsaid = bench.go_through(Fault("nothing", "rgb", "never said"), Timing(0.1, 0.2))
        lost = bench.go_through(Fault("all dropped", "rgb", spoil=deaf), Timing(0.1, 0.4, recovery_s=0.0))
    assert unsaid.problems == ("expected something like 'never said' to be said",)
    assert "not all sensors served again" in lost.problems
    assert (lost.lost, lost.used, lost.back_ms) == (4, "none", None)


def test_every_sensor_goes_through_every_kind():
    assert len(names()) == len(set(names())) == 1 + len(SENSORS) * len(KINDS) + 6
    assert {f"{NAMES[sensor]} {kind.name}" for sensor in SENSORS for kind in KINDS} < set(names())
    assert set(CHOSEN) < set(names())


def outputs(*pairs):
    return [Output(round(stamp * MS), round(heard * MS)) for stamp, heard in pairs]


def test_stamps_must_rise_save_where_they_jump():
    assert steps_back(outputs((1, 0), (2, 1), (3, 2)), jumps=False) == []
    assert steps_back(outputs((1, 0), (1, 1)), jumps=True) == ["stamp went back by 0.0 ms"]
    back = outputs((2000, 0), (500, 1), (400, 2))
    assert steps_back(back, jumps=True) == ["stamp went back by 100.0 ms"]
    assert len(steps_back(back, jumps=False)) == 2


@pytest.mark.parametrize(
    ("heard", "expected"),
    [((0, 90, 110, 190, 210), 80), ((0, 50, 300), 250), ((150,), 50), ((), 100)],
)
def test_the_worst_gap_reaches_over_the_borders(heard, expected):
    """A fault from 100 to 200 ms."""
    assert longest_gap_ms(outputs(*((at, at) for at in heard)), 100 * MS, 200 * MS) == expected


def report(heard, **values):
    statuses = {name: Status(0, "live", {}) for name in ("rgb", "depth", "inference")}
    statuses["rgb"] = Status(1, values.pop("message", "live"), {key: str(value) for key, value in values.items()})
    return Report(statuses, heard)


def test_what_was_said_is_summed_up():
    before = report(0, rejected=1, received=5, rate_hz="10.0")
    during = [
        report(1, message="stale", rejected=2, received=9, rate_hz="10.0"),
        report(
            2, message="absent", rejected=4, received=9, rate_hz="31.0", last_problem="found this", **{"problem.x": 3}
        ),
    ]
    served = [
        Served("depth", {"absent.rgb": "late", "absent.lidar": "late"}, 1),
        Served("rgb+depth", {"age_ms.rgb": "150.0"}, 2),
    ]
    assert said_of("rgb", before, during, served) == (
        'stale; absent; rejected +3; x +3; rate_hz 10 -> 31; outputs without it: late; age_ms up to 150; "found this"'
    )
    assert said_of("depth", before, during, []) == "nothing"
    assert said_of("depth", before, during, served[:1]) == "outputs without rgb: late; outputs without lidar: late"
    assert said_of("rgb", before, [], []) == "nothing"
    assert mostly_used([*served, served[0]]) == "depth"


def test_the_page_counts_and_shows_what_failed():
    good = Row("dropped", 20, 18, 163.4, "rgb", "a|b", 12.0, ())
    bad = Row("frozen", 20, 25, 1.0, "none", "nothing", None, ("the node's executor ended",))
    text = page([good, bad], DriveSettings(), TIMING, "make faults")
    assert "**2 cases tried, 1 survived, 2 of 40 outputs lost.**" in text
    assert "| dropped | 20 | 18 | 2 | 163 | rgb | 12 | yes | a/b |" in text
    assert "| frozen | 20 | 25 | 0 | 1 | none | never | **no**: the node's executor ended | nothing |" in text
    assert verdict([good, bad]).splitlines() == [
        "2 cases tried, 1 survived",
        "frozen: the node's executor ended",
    ]
