# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Health in numbers and how it is told: levels, counters, problems, silence."""

import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.errors import FrameError
from any2seg_core.frames import DELIVER_CLASSES, Absence, LabelMap, Modality
from any2seg_core.synchronizer import StreamState, StreamStatus
from any2seg_ros.diagnostics import INFERENCE, Health, ThrottledLog, describe_problem
from any2seg_ros.statuses import ERROR, OK, STALE, WARN, fill_diagnostics, fill_output_status

SECOND = 10**9


def stream(state, **values):
    fields = {
        "state": StreamState(state), "enabled": True, "age_ns": 20_000_000, "period_ns": SECOND // 20,
        "last_stamp_ns": 1, "received": 10, "used": 8, "dropped": 1, "late": 2, "duplicates": 3, "rejected": 4,
        "last_rejection": "",
    } | values  # fmt: skip
    return StreamStatus(**fields)


def told(health, *states, now_ns=0, notes=None, **values):
    streams = {modality: stream(state, **values) for modality, state in zip(Modality, states, strict=False)}
    message = fill_diagnostics(
        SimpleNamespace(), SimpleNamespace, SimpleNamespace,
        name="/node", health=health, states=streams, notes=notes or {}, now_ns=now_ns,
    )  # fmt: skip
    return {status.name: status for status in message.status}


def inference(health, *states, **values):
    status = told(health, *states, **values)["/node: inference"]
    return status.level, status.message


def with_outputs(count=1, now_ns=0):
    health = Health()
    health.begin(now_ns)
    for number in range(count):
        health.count_output("rgb", (number + 1) * 1_000_000, now_ns)
    return health


def values(status):
    return {pair.key: pair.value for pair in status.values}


LEVELS = {
    "nothing yet": (0, ("never_seen", "never_seen"), STALE, "waiting for the first sensor"),
    "no output yet": (0, ("live", "live"), WARN, "sensors live, no output yet"),
    "all live": (1, ("live", "live"), OK, "all sensors live"),
    "one dead": (1, ("live", "absent"), WARN, "degraded: 1 of 2 sensors live"),
    "one late": (1, ("live", "stale"), WARN, "degraded: 1 of 2 sensors live"),
    "all late by one message": (1, ("stale", "stale"), WARN, "degraded: 0 of 2 sensors live"),
    "all dead": (1, ("absent", "absent"), ERROR, "blind: no sensor lives"),
    "all dead or never seen": (1, ("absent", "never_seen"), ERROR, "blind: no sensor lives"),
}


@pytest.mark.parametrize("case", LEVELS)
def test_the_level_of_inference(case):
    outputs, states, level, text = LEVELS[case]
    assert inference(with_outputs(outputs), *states) == (level, text)


def test_a_model_that_fails_is_an_error_until_the_next_output():
    health = with_outputs()
    health.count_problem(INFERENCE, "no answer", "out of memory")
    assert inference(health, "live") == (ERROR, "no answer: out of memory")
    health.count_output("rgb", 1, 0)
    assert inference(health, "live") == (OK, "all sensors live")


def test_a_problem_of_one_sensor_does_not_fail_inference():
    health = with_outputs()
    health.count_problem("lidar", "calibration", "no transform")
    assert inference(health, "live")[0] == OK


def test_silence_of_the_outputs_while_sensors_live_is_an_error():
    health = with_outputs(now_ns=5 * SECOND)
    assert inference(health, "live", now_ns=8 * SECOND)[0] == OK
    assert inference(health, "live", now_ns=8 * SECOND + 1) == (
        ERROR, "silent: 1 of 1 sensors live, no output for 3 s"
    )  # fmt: skip
    # A sensor of 1 Hz may take five of its periods.
    assert inference(health, "live", now_ns=10 * SECOND, period_ns=SECOND)[0] == OK
    assert inference(health, "live", now_ns=10 * SECOND + 1, period_ns=SECOND)[0] == ERROR
    # Time spent deactivated does not count.
    health.begin(100 * SECOND)
    assert inference(health, "live", now_ns=101 * SECOND)[0] == OK


def test_a_sensors_status_holds_its_counts_and_what_is_wrong_with_it():
    health = Health()
    for text in ("first", "second"):
        health.count_problem("rgb", "refused", text)
    health.count_problem("rgb", "camera info refused", "third")
    health.count_problem("depth", "refused", "of another")
    found = told(health, "live", last_rejection="why", notes={Modality.RGB: {"outside": 7}})["/node: rgb"]
    assert (found.level, found.message, found.hardware_id) == (OK, "live", "any2seg")
    assert values(found) == {
        "rate_hz": "20.0", "age_s": "0.020", "received": "10", "used": "8", "dropped": "1", "late": "2",
        "duplicates": "3", "rejected": "4", "last_rejection": "why", "outside": "7", "problem.refused": "2",
        "problem.camera info refused": "1", "last_problem": "third",
    }  # fmt: skip


@pytest.mark.parametrize("state", ["never_seen", "stale", "absent"])
def test_a_sensor_that_is_not_live_is_a_warning(state):
    found = told(Health(), state, age_ns=None, period_ns=0)["/node: rgb"]
    assert (found.level, found.message) == (WARN, state)
    assert (values(found)["rate_hz"], values(found)["age_s"]) == ("0.0", "")


def test_latencies_are_percentiles_of_the_newest_and_nan_before_the_first():
    assert np.isnan(Health().latency_ms(50))
    health = with_outputs(100)
    assert health.latency_ms(50) == pytest.approx(50.5)
    found = values(told(health, "live")["/node: inference"])
    assert (found["outputs"], found["latency_p50_ms"], found["latency_p95_ms"]) == ("100", "50.5", "95.0")
    # Only the newest 512 count, so memory does not grow and old stalls are forgotten.
    for _ in range(512):
        health.count_output("rgb", 2_000_000, 0)
    assert health.latency_ms(100) == 2.0


def test_counting_on_one_thread_and_telling_on_another_do_not_disturb_each_other():
    health = Health()

    def count():
        for number in range(3000):
            health.count_problem("rgb", f"kind {number}", "text")
            health.count_displaced()
            health.count_output("rgb", 1, 0)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        told(health, "live")
    assert (health.outputs, health.displaced) == (6000, 6000)
    assert sum(health.problems.values()) == 6000


def test_an_output_says_who_served_it_and_why_others_did_not():
    labels = LabelMap(
        np.zeros((1, 1), np.uint8), np.ones((1, 1), np.float32), 5, "camera", Modality.DEPTH,
        (Modality.DEPTH, Modality.LIDAR), {Modality.RGB: Absence.ABSENT}, DELIVER_CLASSES,
    )  # fmt: skip
    message = SimpleNamespace()
    ages_ns = dict.fromkeys(labels.used, 1_250_000)
    fill_output_status(
        message, SimpleNamespace, SimpleNamespace, name="/node", labels=labels, ages_ns=ages_ns, latency_ns=12_345_678
    )
    (status,) = message.status
    assert (status.name, status.level, status.message) == ("/node: output", WARN, "depth+lidar")
    expected = {"anchor": "depth", "absent.rgb": "absent", "latency_ms": "12.35"}
    assert values(status) == {**expected, "age_ms.depth": "1.2", "age_ms.lidar": "1.2"}


def test_problems_tell_the_foreseen_from_the_unexpected():
    assert describe_problem(FrameError("too short"), "refused") == ("refused", "too short")
    try:
        Modality["RADAR"]
    except KeyError as error:
        kind, text = describe_problem(error, "refused")
    assert kind == "unexpected KeyError"
    assert re.fullmatch(r".RADAR. \(\w+\.py, line \d+\)", text)


def test_equal_problems_are_logged_once_per_period():
    now, lines = [0.0], []
    log = ThrottledLog(lines.append, 5.0, clock_s=lambda: now[0])
    log("rgb", "refused", "a")
    for now[0] in (1.0, 4.9):
        log("rgb", "refused", "b")
    log("rgb", "calibration", "c")
    log("depth", "refused", "d")
    now[0] = 5.0
    log("rgb", "refused", "e")
    assert lines == ["rgb: refused: a", "rgb: calibration: c", "depth: refused: d", "rgb: refused: e"]
