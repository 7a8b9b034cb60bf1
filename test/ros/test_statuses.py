# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What diagnostics say of sensors that are off, of a model that gave something up, and of the stages' times."""

from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.frames import DELIVER_CLASSES, Absence, LabelMap, Modality
from any2seg_core.synchronizer import StreamState, StreamStatus
from any2seg_ros.diagnostics import Health
from any2seg_ros.statuses import ERROR, OK, STALE, WARN, fill_diagnostics, fill_output_status, fill_timing

SECOND = 10**9


def stream(state, *, enabled=True, last_stamp_ns=None):
    return StreamStatus(
        state=StreamState(state), enabled=enabled, age_ns=0, period_ns=SECOND // 20, last_stamp_ns=last_stamp_ns,
        received=1, used=1, dropped=0, late=0, duplicates=0, rejected=0, last_rejection="",
    )  # fmt: skip


def told(*streams, outputs=1, **settings):
    """(level, message, values) of each status by its part's name."""
    health = Health()
    health.begin(0)
    for _ in range(outputs):
        health.count_output("rgb", 10_000_000, 0, {"wait": 2_000_000, "model": 7_000_000})
    message = fill_diagnostics(
        SimpleNamespace(), SimpleNamespace, SimpleNamespace, name="/node", health=health,
        states=dict(zip(Modality, streams, strict=False)), notes={}, now_ns=0, **settings,
    )  # fmt: skip
    return {
        status.name.removeprefix("/node: "): (status.level, status.message, {v.key: v.value for v in status.values})
        for status in message.status
    }


OFF = {"enabled": False}
INFERENCE = {
    "one off": ([stream("live"), stream("live", **OFF)], (WARN, "degraded: 1 of 2 sensors live (depth disabled)")),
    "the living one off": (
        [stream("absent"), stream("live", **OFF)],
        (ERROR, "blind: no sensor lives (depth disabled)"),
    ),
    "all on": ([stream("live"), stream("live")], (OK, "all sensors live")),
}


@pytest.mark.parametrize("case", INFERENCE)
def test_a_sensor_that_is_off_does_not_count_as_living(case):
    streams, expected = INFERENCE[case]
    assert told(*streams)["inference"][:2] == expected


def test_a_sensor_that_is_off_says_so_whatever_it_sends():
    assert told(stream("live"), stream("live", **OFF))["depth"][:2] == (WARN, "disabled")


@pytest.mark.parametrize(
    ("state", "outputs", "level"), [("live", 1, WARN), ("absent", 1, ERROR), ("never_seen", 0, STALE)]
)
def test_what_the_model_gave_up_is_a_warning_that_hides_nothing_worse(state, outputs, level):
    found = told(stream(state), outputs=outputs, degraded="lowered to 64 px")["inference"]
    assert found[0] == level
    assert found[1].endswith("; lowered to 64 px")


def test_each_stage_has_its_percentiles_and_the_model_its_values():
    values = told(stream("live"), outputs=3, model={"device": "cuda:0"})["inference"][2]
    stages = {"latency": "10.0", "wait": "2.0", "model": "7.0"}
    for stage, value in stages.items():
        assert (values[f"{stage}_p50_ms"], values[f"{stage}_p95_ms"]) == (value, value)
    assert values["device"] == "cuda:0"


def test_messages_that_pile_up_before_the_node_show_in_the_age_of_their_stamps():
    clock = {"clock_ns": 10 * SECOND}
    assert told(stream("live", last_stamp_ns=7 * SECOND), **clock)["rgb"][2]["stamp_age_s"] == "3.000"
    assert "stamp_age_s" not in told(stream("never_seen"), **clock)["rgb"][2]


def test_an_output_says_which_sensors_were_off():
    absent = {Modality.DEPTH: Absence.ABSENT, Modality.EVENT: Absence.ABSENT}
    labels = LabelMap(
        np.zeros((1, 1), np.uint8), np.ones((1, 1), np.float32), 5, "camera", Modality.RGB, (Modality.RGB,), absent,
        DELIVER_CLASSES,
    )  # fmt: skip
    message = fill_output_status(
        SimpleNamespace(), SimpleNamespace, SimpleNamespace, name="/node", labels=labels, ages_ns={}, latency_ns=0,
        disabled={Modality.EVENT, Modality.LIDAR},
    )  # fmt: skip
    values = {pair.key: pair.value for pair in message.status[0].values}
    assert (values["absent.depth"], values["absent.event"]) == ("absent", "disabled")
    assert "absent.lidar" not in values


def test_timing_is_plain_numbers_in_milliseconds():
    message = fill_timing(
        SimpleNamespace(), SimpleNamespace, SimpleNamespace, name="/node", latency_ns=12_345_678,
        stages_ns={"wait": 1_000_000, "model": 11_345_678},
    )  # fmt: skip
    (status,) = message.status
    assert (status.level, status.message) == (OK, "12.3 ms")
    assert [(pair.key, pair.value) for pair in status.values] == [
        ("wait_ms", "1.000"), ("model_ms", "11.346"), ("latency_ms", "12.346"),
    ]  # fmt: skip
