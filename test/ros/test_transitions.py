# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of state are logged once each, as bad as they are."""

from types import SimpleNamespace

from any2seg_ros.statuses import ERROR, OK, STALE, WARN
from any2seg_ros.transitions import Transitions


class Log:
    """Keeps lines with their severity."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, severity):
        return lambda line: self.lines.append((severity, line))


def status(name, level, message):
    return SimpleNamespace(name=name, level=level, message=message)


def logged(*steps):
    """What is logged over steps of (sensor's level and state, inference's level and text)."""
    log = Log()
    transitions = Transitions(log)
    for sensor, inference in steps:
        transitions.see([status("n: rgb", *sensor)], status("n: inference", *inference))
    return log.lines


LIVE, GONE, FINE = (OK, "live"), (WARN, "absent"), (OK, "all sensors live")


def test_a_sensor_that_dies_and_returns_is_told_once_each():
    assert logged((LIVE, FINE), (GONE, FINE), (GONE, FINE), (LIVE, FINE), (LIVE, FINE)) == [
        ("warning", "rgb: live -> absent"),
        ("info", "rgb: absent -> live"),
    ]


def test_jitter_is_not_told():
    stale = (WARN, "stale")
    assert logged((LIVE, FINE), (stale, FINE), (LIVE, FINE)) == []
    assert logged((LIVE, FINE), (stale, FINE), (GONE, FINE)) == [("warning", "rgb: live -> absent")]


def test_what_a_node_begins_with_is_no_change():
    waiting = (STALE, "waiting for the first sensor")
    never = (WARN, "never_seen")
    assert logged((never, waiting), (never, waiting), (LIVE, (WARN, "sensors live, no output yet"))) == [
        ("info", "rgb: never_seen -> live")
    ]


def test_inference_that_fails_is_an_error_told_once_however_its_text_goes_on():
    silent = [(ERROR, f"silent: 1 of 1 sensors live, no output for {s} s") for s in (4, 5)]
    blind, degraded = (ERROR, "blind: no sensor lives"), (WARN, "degraded: 1 of 2 sensors live")
    assert logged(*((LIVE, text) for text in (FINE, degraded, *silent, blind, degraded, FINE))) == [
        ("error", "inference: silent: 1 of 1 sensors live, no output for 4 s"),
        ("error", "inference: blind: no sensor lives"),
        ("info", "inference: degraded: 1 of 2 sensors live"),
    ]
