# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: every sensor failing in every way, and what else goes wrong around a node; one row each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.faults import FaultScript
from any2seg_core.frames import Modality
from any2seg_ros.topics import DATA_TOPICS
from any2seg_sim.trial.bench import Bench, Fault, Timing, open_bench
from any2seg_sim.trial.cases import KINDS, NAMES, SENSORS, Kind
from any2seg_sim.trial.damage import repeated
from any2seg_sim.trial.player import NODE_TOPICS, Drive
from any2seg_sim.trial.surroundings import SURROUNDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from any2seg_sim.messages import TopicMessage
    from any2seg_sim.trial.row import Row


CONTROL: Final = "nothing"
"""The row in which nothing fails: what is lost there is this machine's doing."""


def names() -> list[str]:
    """Name every row."""
    return [CONTROL, *(_name(sensor, kind) for sensor in SENSORS for kind in KINDS), *SURROUNDINGS]


def fault_matrix(
    drive: Drive, namespace: str, timing: Timing, *, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[Row]:
    """Try faults one after the other, those of sensors on one node; needs an initialised rclpy.

    Args:
        drive: what the sensors see.
        namespace: of all nodes.
        timing: how long each fault lasts.
        wanted: whether to try a fault of this name.

    Raises:
        TrialError: a node does not start, or does not serve all sensors again after a fault.
    """
    cases = [(sensor, kind) for sensor in SENSORS for kind in KINDS if wanted(_name(sensor, kind))]
    if cases or wanted(CONTROL):
        with open_bench(drive, namespace) as bench:
            bench.settle()
            if wanted(CONTROL):
                yield bench.go_through(Fault(CONTROL, Modality.RGB.value), timing)
            for sensor, kind in cases:
                yield bench.go_through(sensor_fault(bench, sensor, kind), timing)
                bench.settle()
    for name, hold in SURROUNDINGS.items():
        if wanted(name):
            yield hold(name, drive, namespace, timing)


def sensor_fault(bench: Bench, sensor: Modality, kind: Kind) -> Fault:
    """Let a sensor fail in a way."""
    fault, settings = kind.fault, bench.player.drive.settings

    def script(begin_s: float, end_s: float) -> FaultScript:
        values = {**(fault or {}), "sensor": sensor.value, "start_s": begin_s, "end_s": end_s}
        return FaultScript.from_mapping({"faults": [values]})

    rates = {Modality.EVENT: settings.rate_hz * settings.subframes, Modality.LIDAR: settings.lidar_rate_hz}
    period_ns = round(1e9 / rates.get(sensor, settings.rate_hz))
    return Fault(
        _name(sensor, kind),
        sensor.value,
        kind.must_say(sensor),
        script=None if fault is None else script,
        spoil=None if fault is not None else partial(_spoilt, DATA_TOPICS[sensor], kind, period_ns),
        jumps=kind.jumps,
    )


def _spoilt(topic: str, kind: Kind, period_ns: int, described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
    if NODE_TOPICS[described.topic] != topic:
        return [(0, message)]
    if kind.damage is not None:
        return [(0, kind.damage(message))]
    return repeated(message, period_ns, kind.times)


def _name(sensor: Modality, kind: Kind) -> str:
    return f"{NAMES[sensor]} {kind.name}"
