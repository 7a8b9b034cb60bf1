# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the node holds from configure to cleanup: pipeline, model, publishers, and the thread that answers."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import ConfigError
from any2seg_core.frames import subset_key
from any2seg_ros.diagnostics import INFERENCE
from any2seg_ros.transitions import Transitions
from any2seg_ros.worker import LatestWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from any2seg_core.config import NodeConfig
    from any2seg_core.frames import Modality, SensorFrame
    from any2seg_core.inference import EnduringSegmenter
    from any2seg_core.synchronizer import Match
    from any2seg_ros.outputs import Outputs
    from any2seg_ros.pipeline import Pipeline

STOP_TIMEOUT_S: Final = 30.0
"""Longest wait for the frame in work when the node deactivates."""


class Session:
    """Messages in, on the executor's threads; answers out, on a thread of their own; no algorithm.

    Between end and begin it does nothing with what comes: callbacks may be under way when the node is taken down. A new
    session is made with every configure, so that an answer that comes after a cleanup reaches no new publisher.

    Args:
        config: the node's settings; live ones may be exchanged.
        pipeline: made for segmenter.
        segmenter: the model.
        outputs: the publishers.
        log: the node's logger.
        clock: the node's, which follows simulated time.

    Attributes:
        config, pipeline, segmenter, outputs: as given, and now.
        worker: the thread that answers; None while the node is inactive.
        closed: whether the node was taken down, so that nothing may be put into this session any more.
    """

    def __init__(
        self,
        config: NodeConfig,
        pipeline: Pipeline,
        segmenter: EnduringSegmenter,
        *,
        outputs: Outputs,
        log: Any,
        clock: Any,
    ) -> None:
        self.config = config
        self.pipeline = pipeline
        self.segmenter = segmenter
        self.outputs = outputs
        self.worker: LatestWorker[Match[Modality, SensorFrame]] | None = None
        self.closed = False
        self._log = log
        self._clock = clock
        self._transitions = Transitions(log)
        self._degraded = ""
        self._intake_lock = threading.Lock()
        self._answering = threading.Lock()

    def begin(self) -> None:
        """Answer from now on."""
        with self._intake_lock:
            self.pipeline.intake.reset("activated")
            self.pipeline.health.begin(time.monotonic_ns())
            self.worker = LatestWorker(self._answer, self._failed, name="any2seg inference")
        self.tell_labels()
        self._tell_degraded()

    def end(self) -> None:
        """Answer no more; the frame in work is finished."""
        with self._intake_lock:
            worker, self.worker = self.worker, None
        if worker is not None and not worker.stop(STOP_TIMEOUT_S):
            self._log.error(f"the model did not finish its frame within {STOP_TIMEOUT_S:.0f} s")

    def close(self) -> None:
        """Answer no more, ever, and let the model go: an executor may hold on to our callbacks for a while."""
        self.closed = True
        self.end()
        self.segmenter.close()

    # Messages in -----------------------------------------------------------------------------------------------

    def take(self, modality: Modality, message: Any) -> None:
        """Take a sensor's message."""
        with self._guarded(modality.value) as active:
            if active:
                self._submit(self.pipeline.take(modality, message, time.monotonic_ns()))

    def see_camera_info(self, modality: Modality, message: Any) -> None:
        """Take a camera's intrinsics."""
        with self._guarded(modality.value) as active:
            if active:
                self.pipeline.see_camera_info(modality, message)

    def poll(self) -> None:
        """Let go on what has waited long enough."""
        with self._guarded("synchronizer") as active:
            if active:
                self._submit(self.pipeline.intake.poll(time.monotonic_ns()))

    def forget(self, reason: str, also: Callable[[], None]) -> None:
        """Forget all frames, as after a jump of the clock; also does the same for whatever else remembers."""
        with self._guarded("synchronizer") as active:
            if active:
                self.pipeline.intake.reset(reason)
                also()

    @contextmanager
    def _guarded(self, source: str) -> Iterator[bool]:
        """Give the intake to one caller at a time, and tell whether the node is active.

        Whatever goes wrong is counted and never ends the executor.
        """
        with self._intake_lock:
            active = self.worker is not None
            try:
                yield active
            except Exception as error:  # noqa: BLE001  # the border to ROS: a message must not end the node
                if active:
                    self.pipeline.fail(source, "refused", error)

    def _submit(self, matches: Iterable[Match[Modality, SensorFrame]]) -> None:
        for match in matches:
            if self.worker is not None and self.worker.submit(match):
                self.pipeline.health.count_displaced()

    # Answers out, on the worker's thread -----------------------------------------------------------------------

    def _answer(self, match: Match[Modality, SensorFrame]) -> None:
        with self._answering:
            begun_ns, settings = time.monotonic_ns(), self.config.output
            answer = self.pipeline.answer(match).above(settings.confidence_floor)
            made_ns = time.monotonic_ns()
            self.outputs.publish_answer(answer, settings)
            now_ns = time.monotonic_ns()
            latency_ns = now_ns - match.arrival_ns
            stages_ns = {"wait": begun_ns - match.arrival_ns, **answer.stages_ns, "publish": now_ns - made_ns}
            self.pipeline.health.count_output(subset_key(answer.labels.used), latency_ns, now_ns, stages_ns)
            self.outputs.publish_used_sensors(answer, latency_ns)
            self.outputs.publish_timing(answer, latency_ns, stages_ns)
            self._tell_degraded()

    def _failed(self, error: Exception) -> None:
        self.pipeline.fail(INFERENCE, "no answer", error)

    def _tell_degraded(self) -> None:
        degraded = self.segmenter.degraded
        if degraded and degraded != self._degraded:
            self._log.warning(f"{INFERENCE}: {degraded}")
        self._degraded = degraded

    # Control ---------------------------------------------------------------------------------------------------

    def enable(self, modality: Modality, *, enabled: bool) -> None:
        """Switch a sensor on or off.

        Raises:
            ConfigError: it is none of the sensors in use, or none that may be the anchor would be left.
        """
        with self._intake_lock:
            self.pipeline.enable(modality, enabled=enabled)

    def adopt(self, segmenter: EnduringSegmenter) -> None:
        """Answer with another model, warm already, from the next frame on.

        Raises:
            ConfigError: it knows no sensor that is configured and on, or the node was taken down; nothing changed then.
        """
        with self._answering, self._intake_lock:
            if self.closed:
                msg = "the node was cleaned up while the checkpoint was loading; configure it, which loads it too"
                raise ConfigError(msg)
            self.pipeline.adopt(segmenter)
            before, self.segmenter = self.segmenter, segmenter
            if before.classes != segmenter.classes and self.worker is not None:
                self.tell_labels()
            self._tell_degraded()
        before.close()

    # What the node tells ---------------------------------------------------------------------------------------

    def tell_labels(self) -> None:
        """Say what labels mean."""
        now_ns, floor = self._clock.now().nanoseconds, self.config.output.confidence_floor
        self.outputs.publish_label_info(self.segmenter.classes, now_ns, floor)

    def tell_health(self) -> None:
        """Say how the node does, and log what changed."""
        with self._guarded("diagnostics") as active:
            if active:
                now_ns, clock = time.monotonic_ns(), self._clock.now()
                message = self.outputs.publish_diagnostics(
                    stamp=clock.to_msg(),
                    health=self.pipeline.health,
                    states=self.pipeline.intake.states(now_ns),
                    notes=self.pipeline.notes(),
                    now_ns=now_ns,
                    clock_ns=clock.nanoseconds,
                    model=self._model(),
                    degraded=self.segmenter.degraded,
                )
                *sensors, inference = message.status
                self._transitions.see(sensors, inference)

    def _model(self) -> dict[str, object]:
        segmenter, worker = self.segmenter, self.worker
        return {
            "model": segmenter.name,
            "device": segmenter.device,
            "short_side_px": segmenter.preprocess.short_side_px,
            "queue_waiting": 0 if worker is None else worker.waiting,
            "queue_open": self.pipeline.intake.pending,
            **segmenter.memory,
        }
