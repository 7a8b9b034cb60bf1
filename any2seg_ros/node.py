# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""segmentation_node: a lifecycle node that wires topics to the pipeline and answers to topics; it owns no algorithm."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]  # Humble has it nowhere else
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo

from any2seg_core.config import UNTRAINED, NodeConfig
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Modality, subset_key
from any2seg_core.inference import open_segmenter
from any2seg_ros import compat, parameters, qos
from any2seg_ros.diagnostics import INFERENCE, ThrottledLog
from any2seg_ros.outputs import Outputs
from any2seg_ros.pipeline import Pipeline
from any2seg_ros.tf_lookup import TfLookup
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS, message_type, transport_topic
from any2seg_ros.worker import LatestWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rclpy.parameter import Parameter

    from any2seg_core.frames import SensorFrame
    from any2seg_core.inference import Segmenter
    from any2seg_core.synchronizer import Match, StreamState

SUCCESS: Final = TransitionCallbackReturn.SUCCESS
FAILURE: Final = TransitionCallbackReturn.FAILURE
STOP_TIMEOUT_S: Final = 30.0
"""Longest wait for the frame in work when the node deactivates."""
SHORTEST_POLL_S: Final = 0.005
LONGEST_POLL_S: Final = 0.02
"""A dead anchor is replaced on time only if somebody looks often enough, however long a set may wait."""
POLLS_PER_WAIT: Final = 4


class SegmentationNode(LifecycleNode):
    """Publishes the best label image that the living sensors allow, and says which it used.

    Subscribes to rgb/image, rgb/camera_info, depth/image, depth/camera_info, event/events, event/camera_info and
    lidar/points. Publishes ~/labels (mono8), ~/color, ~/overlay (rgb8), ~/confidence (32FC1), each only while
    somebody subscribes, and ~/camera_info of the label image likewise; ~/label_info (latched), ~/used_sensors with
    every output, and /diagnostics.
    """

    def __init__(self, name: str = "segmentation_node", **kwargs: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self._start_problem: ConfigError | None = None
        try:
            parameters.declare(self, NodeConfig, parameters.take_overrides(self))
        except ConfigError as error:
            self._start_problem = error
        self.add_on_set_parameters_callback(self._parameters_set)
        self._intake_lock = threading.Lock()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._undo_configure: list[Callable[[], Any]] = []
        self._undo_activate: list[Callable[[], Any]] = []
        self._clear()

    def _clear(self) -> None:
        """Hold nothing: the state of an unconfigured node."""
        self._config = NodeConfig()
        self._segmenter: Segmenter | None = None
        self._pipeline: Pipeline | None = None
        self._tf: TfLookup | None = None
        self._worker: LatestWorker[Match[Modality, SensorFrame]] | None = None
        self._outputs: Outputs | None = None
        self._last_states: dict[Modality, StreamState] = {}

    # Life cycle ------------------------------------------------------------------------------------------------

    @property
    def autostart(self) -> bool:
        """Whether the node should configure and activate by itself."""
        return bool(self.get_parameter("autostart").value)

    def start(self) -> bool:
        """Configure and activate, as a lifecycle manager would; False if that failed (the log says why)."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def stop(self) -> None:
        """End all work, whatever state the node is in."""
        self._undo(self._undo_activate)
        self._undo(self._undo_configure)
        self._clear()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model, warm it up, create the publishers."""
        if not self._attempt("configured", self._configure):
            self.stop()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to answer."""
        result = super().on_activate(state)
        if not self._attempt("activated", self._activate):
            self._undo(self._undo_activate)
            super().on_deactivate(state)
            return FAILURE
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and let the frame in work finish."""
        self._undo(self._undo_activate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the model back."""
        self.stop()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End from any state."""
        self.stop()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, so that the node can be configured again."""
        self.get_logger().error(f"error while {state.label}: back to unconfigured")
        self.stop()
        return SUCCESS

    def _attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Take a step of the life cycle; rclpy would swallow what it raises, so the log has to say it."""
        try:
            step()
        except Any2SegError as error:
            self.get_logger().error(f"not {what}: {error}")
        except Exception as error:  # noqa: BLE001  # a library failed: the node stays up and can be asked again
            kind = type(error).__name__
            self.get_logger().error(f"not {what}: unexpected {kind}: {error}\n{traceback.format_exc()}")
        else:
            return True
        return False

    def _configure(self) -> None:
        if self._start_problem is not None:
            raise self._start_problem
        config = self._config = parameters.read(self, NodeConfig)
        segmenter = open_segmenter(config.inference, [Modality(name) for name in config.modalities])
        self._tf = TfLookup(self, config.lidar.tf_tolerance_s)
        self._undo_configure.append(self._tf.close)
        report = ThrottledLog(self.get_logger().warning, config.diagnostics.log_period_s)
        pipeline = Pipeline(config, segmenter, lookup=self._tf, motion=self._tf.exact, report=report)
        pipeline.warm_up(config.inference.warm_up_height_px, config.inference.warm_up_width_px)
        name = self.get_fully_qualified_name()
        self._outputs = Outputs(self._publisher, reliability=config.output.reliability, name=name)
        self._segmenter, self._pipeline = segmenter, pipeline
        self._tell_configured(config, segmenter, pipeline)

    def _tell_configured(self, config: NodeConfig, segmenter: Segmenter, pipeline: Pipeline) -> None:
        names = subset_key(pipeline.modalities)
        self.get_logger().info(f"configured: {names}, weights {segmenter.name!r} on {segmenter.device}")
        if segmenter.name == UNTRAINED:
            self.get_logger().warning("the weights are untrained: labels are random, good only to check the wiring")
        unknown = [name for name in config.modalities if Modality(name) not in pipeline.modalities]
        if unknown:
            self.get_logger().warning(f"not subscribed to {', '.join(unknown)}: checkpoint {segmenter.name!r} lacks it")

    def _publisher(self, kind: type, topic: str, profile: Any) -> Any:
        publisher: Any = self.create_lifecycle_publisher(kind, topic, profile)
        self._undo_configure.append(partial(self.destroy_lifecycle_publisher, publisher))
        return publisher

    def _activate(self) -> None:
        pipeline, outputs, segmenter, config = self._pipeline, self._outputs, self._segmenter, self._config
        if pipeline is None or outputs is None or segmenter is None:
            raise ConfigError("the node is not configured; configure it before it is activated")
        with self._intake_lock:
            pipeline.intake.reset("activated")
        pipeline.health.begin(time.monotonic_ns())
        # A worker keeps to what it was made for: an answer that comes after a cleanup reaches no new publisher.
        answer, failed = partial(self._answer, pipeline, outputs), partial(pipeline.fail, INFERENCE, "no answer")
        self._worker = LatestWorker(answer, failed, name="any2seg inference")
        self._undo_activate.append(self._stop_worker)
        for modality in pipeline.modalities:
            sensor, transport = config.sensor(modality), config.transport(modality)
            kind = message_type(modality, config.event.message, transport)
            profile = qos.stream(sensor.reliability, sensor.queue_depth)
            # A remapping names the image topic; image_transport's suffix goes behind what that comes to.
            topic = transport_topic(self.resolve_topic_name(DATA_TOPICS[modality]), transport)
            self._subscribe(topic, kind, profile, self._frame_came, modality)
            if modality in CAMERA_INFO_TOPICS:
                topic = CAMERA_INFO_TOPICS[modality]
                self._subscribe(topic, CameraInfo, qos.stream("best_effort", 5), self._camera_info_came, modality)
        poll_s = min(max(config.sync.max_wait_s / POLLS_PER_WAIT, SHORTEST_POLL_S), LONGEST_POLL_S)
        self._add_timer(poll_s, self._poll)
        self._add_timer(config.diagnostics.period_s, self._publish_diagnostics)
        self._watch_clock(config.sync.jump_threshold_s)
        self._publish_label_info()

    def _watch_clock(self, threshold_s: float) -> None:
        back = Duration(nanoseconds=-max(1, round(threshold_s * 1e9)))
        jump = JumpThreshold(min_forward=None, min_backward=back)
        handle = self.get_clock().create_jump_callback(jump, post_callback=self._clock_jumped)
        self._undo_activate.append(handle.unregister)

    def _subscribe(
        self, topic: str, kind: type, profile: Any, callback: Callable[..., None], modality: Modality
    ) -> None:
        subscriber = compat.message_filters().Subscriber(self, kind, topic, qos_profile=profile)
        subscriber.registerCallback(partial(callback, modality))
        self._undo_activate.append(partial(self.destroy_subscription, subscriber.sub))

    def _add_timer(self, period_s: float, callback: Callable[[], None]) -> None:
        # The steady clock: with simulated time a timer would stall when /clock does, and sensors may die then too.
        timer = self.create_timer(period_s, callback, clock=self._steady)
        self._undo_activate.append(partial(self.destroy_timer, timer))

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(STOP_TIMEOUT_S):
            self.get_logger().error(f"the model did not finish its frame within {STOP_TIMEOUT_S:.0f} s")

    def _undo(self, steps: list[Callable[[], Any]]) -> None:
        while steps:
            steps.pop()()

    # Messages in -----------------------------------------------------------------------------------------------

    def _frame_came(self, modality: Modality, message: Any) -> None:
        with self._guarded(modality.value) as pipeline:
            if pipeline is not None:
                self._submit(pipeline, pipeline.take(modality, message, time.monotonic_ns()))

    def _camera_info_came(self, modality: Modality, message: Any) -> None:
        with self._guarded(modality.value) as pipeline:
            if pipeline is not None:
                pipeline.see_camera_info(modality, message)

    def _poll(self) -> None:
        with self._guarded("synchronizer") as pipeline:
            if pipeline is not None:
                self._submit(pipeline, pipeline.intake.poll(time.monotonic_ns()))

    def _clock_jumped(self, _jump: Any) -> None:
        with self._guarded("synchronizer") as pipeline:
            if pipeline is not None and self._tf is not None:
                pipeline.intake.reset("clock jumped back")
                self._tf.clear()

    @contextmanager
    def _guarded(self, source: str) -> Iterator[Pipeline | None]:
        """Give the pipeline to one caller at a time; whatever goes wrong is counted and never ends the executor.

        The pipeline is None for a callback that was already under way when the node was taken down.
        """
        with self._intake_lock:
            pipeline = self._pipeline if self._worker is not None else None
            try:
                yield pipeline
            except Exception as error:  # noqa: BLE001  # the border to ROS: a message must not end the node
                if pipeline is not None:
                    pipeline.fail(source, "refused", error)

    def _submit(self, pipeline: Pipeline, matches: Iterable[Match[Modality, SensorFrame]]) -> None:
        worker = self._worker
        for match in matches:
            if worker is not None and worker.submit(match):
                pipeline.health.count_displaced()

    # Answers out, on the worker's thread ------------------------------------------------------------------------

    def _answer(self, pipeline: Pipeline, outputs: Outputs, match: Match[Modality, SensorFrame]) -> None:
        settings = self._config.output
        answer = pipeline.answer(match).above(settings.confidence_floor)
        outputs.publish_images(answer, settings.overlay_alpha)
        outputs.publish_camera_info(answer)
        now_ns = time.monotonic_ns()
        pipeline.health.count_output(subset_key(answer.labels.used), now_ns - match.arrival_ns, now_ns)
        outputs.publish_used_sensors(answer, now_ns - match.arrival_ns)

    # What the node tells ---------------------------------------------------------------------------------------

    def _publish_diagnostics(self) -> None:
        with self._guarded("diagnostics") as pipeline:
            if pipeline is not None and self._outputs is not None:
                now_ns, stamp = time.monotonic_ns(), self.get_clock().now().to_msg()
                states = pipeline.intake.states(now_ns)
                self._log_transitions({modality: status.state for modality, status in states.items()})
                notes = pipeline.notes()
                self._outputs.publish_diagnostics(pipeline.health, states, notes, now_ns=now_ns, stamp=stamp)

    def _publish_label_info(self) -> None:
        if self._outputs is not None and self._segmenter is not None:
            now_ns, floor = self.get_clock().now().nanoseconds, self._config.output.confidence_floor
            self._outputs.publish_label_info(self._segmenter.classes, now_ns, floor)

    def _log_transitions(self, states: dict[Modality, StreamState]) -> None:
        for modality, new in states.items():
            old = self._last_states.get(modality)
            if old is not None and old != new:
                self.get_logger().warning(f"{modality.value}: {old.value} -> {new.value}")
        self._last_states = states

    def _parameters_set(self, changes: Iterable[Parameter[Any]]) -> SetParametersResult:
        try:
            config = parameters.changed(self, self._config, changes, running=self._pipeline is not None)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._pipeline is not None:
            before, self._config = self._config, config
            if before.output.confidence_floor != config.output.confidence_floor and self._worker is not None:
                self._publish_label_info()
        return SetParametersResult(successful=True)
