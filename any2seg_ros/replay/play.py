# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Plays a recording into the node's own pipeline, by its log times, and judges every output."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

from any2seg_core.errors import Any2SegError, FrameError
from any2seg_core.faults import Arrival, FaultScript
from any2seg_core.frames import Modality
from any2seg_ros.diagnostics import describe_problem
from any2seg_ros.pipeline import Pipeline
from any2seg_ros.replay.roles import CAMERA_INFO, SENSORS, transform_topics
from any2seg_ros.replay.tally import quantiles
from any2seg_ros.replay.transforms import TransformBuffer
from any2seg_ros.replay.verdict import FaultUse, Problem, SensorUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from any2seg_core.config import NodeConfig
    from any2seg_core.faults import FaultRun
    from any2seg_core.frames import SensorFrame
    from any2seg_core.inference import Segmenter
    from any2seg_core.synchronizer import Match
    from any2seg_ros.pipeline import Answer
    from any2seg_ros.replay.bags import Recording
    from any2seg_ros.replay.roles import Roles
    from any2seg_ros.replay.settings import ReplaySettings

_POLL_NS: Final = 10_000_000
"""How often the node looks for matches that have waited long enough."""
_SILENCE_NS: Final = 5_000_000_000
"""After so long without a message nothing changes any more until the next."""


@dataclass
class _Sensor:
    """What a sensor delivered."""

    received: int = 0
    refused: int = 0
    used: int = 0
    stamps: list[int] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)

    def use(self, modality: Modality) -> SensorUse:
        """Put it into the report's words."""
        span_ns = max(self.stamps) - min(self.stamps) if self.stamps else 0
        return SensorUse(
            modality=modality.value,
            received=self.received,
            refused=self.refused,
            used=self.used,
            rate_hz=(len(self.stamps) - 1) / (span_ns / 1e9) if span_ns > 0 else None,
            age_ms=quantiles(self.ages_ms),
            absent=dict(sorted(self.absent.items())),
        )


class Player:
    """One recording on its way through the pipeline.

    Every match is answered, in order: nothing is dropped because the machine is slow, as a live node would have to.
    Transforms are known from when they were recorded on, as for a live node.

    Args:
        recording: open.
        roles: topics by role.
        config: the node's settings.
        segmenter: the model.
        settings: what to play.
        heard: called with each output and the log time at which it was due.

    Attributes:
        outputs: number of outputs.
        start_ns, end_ns: first and last log time played.
        stages_ms: time of each stage, by output or message.
    """

    def __init__(
        self,
        recording: Recording,
        roles: Roles,
        config: NodeConfig,
        segmenter: Segmenter,
        settings: ReplaySettings,
        heard: Callable[[Answer, int], None],
    ) -> None:
        self.outputs = 0
        self.start_ns = self.end_ns = 0
        self.stages_ms: dict[str, list[float]] = defaultdict(list)
        self._recording, self._settings, self._heard = recording, settings, heard
        self._problems: Counter[tuple[str, str]] = Counter()
        self._last: dict[tuple[str, str], str] = {}
        self._buffer = TransformBuffer(config.lidar.tf_tolerance_s)
        self._pipeline = Pipeline(
            config, segmenter, lookup=self._buffer, motion=self._buffer.exact, report=self._report
        )
        self._static = transform_topics(recording.topics)
        self._sensors = {modality: _Sensor() for modality in self._pipeline.modalities}
        taken = {roles.topics[name]: Modality(name) for name in SENSORS if name in roles.topics}
        self._data = {topic: modality for topic, modality in taken.items() if modality in self._sensors}
        infos = {name: roles.topics.get(f"{name} {CAMERA_INFO}") for name in SENSORS}
        self._infos = {topic: Modality(name) for name, topic in infos.items() if topic}
        self._script = FaultScript.from_mapping(yaml.safe_load(settings.faults)) if settings.faults else None
        self._faults: FaultRun | None = None
        self._polled_ns = self._now_ns = 0

    @property
    def topics(self) -> set[str]:
        """Topics that are played."""
        return {*self._data, *self._infos, *self._static}

    def play(self, done: Callable[[float], object]) -> None:
        """Play it all; done is told the seconds played so far now and then."""
        settings = self._settings
        for topic, log_ns, raw in self._recording.messages(self.topics):
            if not self.start_ns:
                self._begin(log_ns)
            # A recording whose log times go back is played in the order of its file.
            self._now_ns = now_ns = max(log_ns, self._now_ns)
            self.end_ns = max(self.end_ns, log_ns)
            t_s = (log_ns - self.start_ns) / 1e9
            if settings.to_s and t_s > settings.to_s:
                break
            self._wait(now_ns)
            if topic in self._static:
                self._transforms(topic, raw)
            elif topic in self._infos:
                self._camera(topic, raw)
            elif t_s >= settings.from_s:
                self._measurement(self._data[topic], topic, raw, now_ns)
            done(t_s)
        self._end()

    def _begin(self, log_ns: int) -> None:
        self.start_ns = self.end_ns = self._polled_ns = log_ns
        if self._script is not None:
            self._faults = self._script.run(log_ns)

    def _end(self) -> None:
        """Let arrive what faults hold back, and go what waits."""
        if self._faults is not None:
            self._arrive(self._faults.flush())
        self._wait(self._now_ns + _SILENCE_NS)

    def _wait(self, until_ns: int) -> None:
        """Poll as the node does until a moment."""
        stop_ns = min(until_ns, self._polled_ns + _SILENCE_NS)
        while self._polled_ns + _POLL_NS <= stop_ns:
            self._polled_ns += _POLL_NS
            self._answer(self._pipeline.intake.poll(self._polled_ns), self._polled_ns)
        self._polled_ns = max(self._polled_ns, until_ns - _POLL_NS)

    def _transforms(self, topic: str, raw: bytes) -> None:
        try:
            self._buffer.add_message(self._recording.read(topic, raw), static=self._static[topic])
        except Exception as error:  # noqa: BLE001  # whatever a message holds, the replay goes on and reports it
            self._fail("tf", "refused", error)

    def _camera(self, topic: str, raw: bytes) -> None:
        modality = self._infos[topic]
        try:
            message = self._recording.read(topic, raw)
        except FrameError as error:
            self._fail(modality.value, "camera info refused", error)
        else:
            self._pipeline.see_camera_info(modality, message)

    def _measurement(self, modality: Modality, topic: str, raw: bytes, now_ns: int) -> None:
        sensor, begun_ns = self._sensors[modality], time.perf_counter_ns()
        sensor.received += 1
        try:
            frame = self._pipeline.intake.read(modality, self._recording.read(topic, raw))
        except Exception as error:  # noqa: BLE001  # likewise
            sensor.refused += 1
            self._answer(self._pipeline.intake.refuse(modality, error, now_ns), now_ns)
            return
        self.stages_ms["convert"].append((time.perf_counter_ns() - begun_ns) / 1e6)
        sensor.stamps.append(frame.stamp_ns)
        arrival = Arrival(now_ns, frame, None)
        self._arrive([arrival] if self._faults is None else self._faults.push(arrival))

    def _arrive(self, arrivals: Iterable[Arrival]) -> None:
        for arrival in arrivals:
            self._answer(self._pipeline.intake.add_frame(arrival.frame, arrival.arrival_ns), arrival.arrival_ns)

    def _answer(self, matches: Iterable[Match[Modality, SensorFrame]], now_ns: int) -> None:
        for match in matches:
            begun_ns = time.perf_counter_ns()
            try:
                answer = self._pipeline.answer(match)
            except Any2SegError as error:
                self._fail("inference", "no answer", error)
                continue
            self.stages_ms["output"].append((time.perf_counter_ns() - begun_ns) / 1e6)
            for stage, spent_ns in answer.stages_ns.items():
                self.stages_ms[stage].append(spent_ns / 1e6)
            self.outputs += 1
            self._count(answer)
            self._heard(answer, now_ns)

    def _count(self, answer: Answer) -> None:
        ages_ns = answer.ages_ns
        for modality, sensor in self._sensors.items():
            if modality in ages_ns:
                sensor.used += 1
                sensor.ages_ms.append(ages_ns[modality] / 1e6)
            elif modality in answer.labels.absent:
                sensor.absent[answer.labels.absent[modality].value] += 1

    def _report(self, source: str, kind: str, message: str) -> None:
        self._problems[source, kind] += 1
        self._last[source, kind] = message

    def _fail(self, source: str, foreseen: str, error: Exception) -> None:
        self._report(source, *describe_problem(error, foreseen))

    # What came of it -------------------------------------------------------------------------------------------

    def sensors(self) -> list[SensorUse]:
        """What each sensor delivered."""
        return [sensor.use(modality) for modality, sensor in self._sensors.items()]

    def problems(self) -> list[Problem]:
        """What went wrong, counted."""
        if self._buffer.refused:
            self._problems["tf", "refused"] += self._buffer.refused
            self._last.setdefault(("tf", "refused"), "transforms that are none")
            self._buffer.refused = 0
        return [
            Problem(source=source, kind=kind, count=count, message=self._last[source, kind])
            for (source, kind), count in sorted(self._problems.items())
        ]

    def faults(self) -> list[FaultUse]:
        """What each scripted fault did."""
        if self._script is None or self._faults is None:
            return []
        length_s = (self.end_ns - self.start_ns) / 1e9
        return [
            FaultUse(
                text=one.fault.told + (f" ({one.fault.what})" if one.fault.what else ""),
                name=f"{one.fault.sensor} {one.fault.kind}",
                seen=one.seen,
                changed=one.changed,
                lost=one.lost,
                spans_s=self._script.spans_s(one.fault, length_s),
            )
            for one in self._faults.report()
        ]
