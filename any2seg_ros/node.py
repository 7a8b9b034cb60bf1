# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""segmentation_node: a lifecycle node that wires topics to the pipeline and answers to topics; it owns no algorithm."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, JumpThreshold
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from any2seg_core.config import NodeConfig
from any2seg_core.errors import Any2SegError, ConfigError, DependencyError
from any2seg_core.frames import Modality, subset_key
from any2seg_core.inference import open_segmenter
from any2seg_ros import compat, parameters, qos
from any2seg_ros.conversions import fill_image, fill_label_info, stamp_fields
from any2seg_ros.diagnostics import fill_diagnostics, fill_output_status
from any2seg_ros.overlay import overlay
from any2seg_ros.pipeline import Answer, Pipeline
from any2seg_ros.tf_lookup import TfLookup
from any2seg_ros.worker import LatestWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray
    from rclpy.parameter import Parameter

    from any2seg_core.frames import LabelMap, SensorFrame
    from any2seg_core.inference import Segmenter
    from any2seg_core.synchronizer import Match, StreamState

SUCCESS: Final = TransitionCallbackReturn.SUCCESS
FAILURE: Final = TransitionCallbackReturn.FAILURE
CAMERA_INFO_TOPICS: Final = {
    Modality.RGB: "rgb/camera_info",
    Modality.DEPTH: "depth/camera_info",
    Modality.EVENT: "event/camera_info",
}
DATA_TOPICS: Final = {
    Modality.RGB: "rgb/image",
    Modality.DEPTH: "depth/image",
    Modality.EVENT: "event/events",
    Modality.LIDAR: "lidar/points",
}
OUTPUT_TOPICS: Final = ("labels", "color", "overlay", "confidence")
STOP_TIMEOUT_S: Final = 30.0
"""Longest wait for the frame in work when the node deactivates."""
SHORTEST_POLL_S: Final = 0.005
POLLS_PER_WAIT: Final = 4


class SegmentationNode(LifecycleNode):
    """Publishes the best label image that the living sensors allow, and says which it used.

    Subscribes to rgb/image, rgb/camera_info, depth/image, depth/camera_info, event/events, event/camera_info and
    lidar/points. Publishes ~/labels (mono8), ~/color, ~/overlay (rgb8), ~/confidence (32FC1), each only while
    somebody subscribes, ~/label_info (latched), ~/used_sensors with every output, and /diagnostics.
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
        self._log_times: dict[str, float] = {}
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
        self._outputs: dict[str, Any] = {}
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
        try:
            if self._start_problem is not None:
                raise self._start_problem
            self._configure(parameters.read(self, NodeConfig))
        except Any2SegError as error:
            self.get_logger().error(f"not configured: {error}")
            self.stop()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to answer."""
        result = super().on_activate(state)
        try:
            self._activate()
        except Any2SegError as error:
            self.get_logger().error(f"not activated: {error}")
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

    def _configure(self, config: NodeConfig) -> None:
        self._config = config
        self._segmenter = open_segmenter(config.inference, [Modality(name) for name in config.modalities])
        self._tf = TfLookup(self, config.lidar.tf_tolerance_s)
        self._undo_configure.append(self._tf.close)
        self._pipeline = Pipeline(config, self._segmenter, lookup=self._tf, report=self._log_problem)
        self._segmenter.warm_up(config.inference.warm_up_height_px, config.inference.warm_up_width_px)
        profile = qos.stream(config.output.reliability, 5)
        for topic in OUTPUT_TOPICS:
            self._add_publisher(topic, Image, profile)
        self._add_publisher("used_sensors", DiagnosticArray, profile)
        self._add_publisher("diagnostics", DiagnosticArray, qos.stream("reliable", 10), name="/diagnostics")
        label_info = compat.optional_type("label_info")
        if label_info is not None:
            self._add_publisher("label_info", label_info, qos.latched())
        names = subset_key(self._pipeline.modalities)
        weights = self._segmenter.name
        self.get_logger().info(f"configured: {names}, weights {weights!r} on {self._segmenter.device}")
        if weights == "untrained":
            self.get_logger().warning("the weights are untrained: labels are random, good only to check the wiring")

    def _add_publisher(self, key: str, kind: type, profile: Any, name: str = "") -> None:
        publisher: Any = self.create_lifecycle_publisher(kind, name or f"~/{key}", profile)
        self._outputs[key] = publisher
        self._undo_configure.append(partial(self.destroy_lifecycle_publisher, publisher))

    def _activate(self) -> None:
        pipeline, config = self._required(self._pipeline), self._config
        pipeline.intake.reset("activated")
        self._worker = LatestWorker(self._answer, self._answer_failed, name="any2seg inference")
        self._undo_activate.append(self._stop_worker)
        for modality in pipeline.modalities:
            profile = qos.stream(config.sensor(modality).reliability, config.sensor(modality).queue_depth)
            self._subscribe(DATA_TOPICS[modality], self._message_type(modality), profile, self._frame_came, modality)
            if modality in CAMERA_INFO_TOPICS:
                topic = CAMERA_INFO_TOPICS[modality]
                self._subscribe(topic, CameraInfo, qos.stream("best_effort", 5), self._camera_info_came, modality)
        self._add_timer(max(config.sync.max_wait_s / POLLS_PER_WAIT, SHORTEST_POLL_S), self._poll)
        self._add_timer(config.diagnostics.period_s, self._publish_diagnostics)
        jump = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-round(config.sync.jump_threshold_s * 1e9))
        )
        handle = self.get_clock().create_jump_callback(jump, post_callback=self._clock_jumped)
        self._undo_activate.append(handle.unregister)
        self._publish_label_info()

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

    def _message_type(self, modality: Modality) -> Any:
        if modality is Modality.LIDAR:
            return PointCloud2
        message = self._config.event.message
        if modality is not Modality.EVENT or message == "image":
            return Image
        if message == "point_cloud":
            return PointCloud2
        found = compat.optional_type(message)
        if found is None:
            msg = (
                f"event.message is {message!r} and no package with {compat.OPTIONAL_TYPES[message]} is installed; "
                "install it, set event.message to point_cloud or image, or leave event out of modalities"
            )
            raise DependencyError(msg)
        return found

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(STOP_TIMEOUT_S):
            self.get_logger().error(f"the model did not finish its frame within {STOP_TIMEOUT_S:.0f} s")

    def _undo(self, steps: list[Callable[[], Any]]) -> None:
        while steps:
            steps.pop()()

    @staticmethod
    def _required(part: Pipeline | None) -> Pipeline:
        if part is None:
            raise ConfigError("the node is not configured; configure it before it is activated")
        return part

    # Messages in -----------------------------------------------------------------------------------------------

    def _frame_came(self, modality: Modality, message: Any) -> None:
        pipeline = self._required(self._pipeline)
        with self._intake_lock:
            matches = pipeline.take(modality, message, time.monotonic_ns())
        self._submit(matches)

    def _camera_info_came(self, modality: Modality, message: Any) -> None:
        self._required(self._pipeline).see_camera_info(modality, message)

    def _poll(self) -> None:
        with self._intake_lock:
            matches = self._required(self._pipeline).intake.poll(time.monotonic_ns())
        self._submit(matches)

    def _submit(self, matches: Iterable[Match[Modality, SensorFrame]]) -> None:
        pipeline, worker = self._required(self._pipeline), self._worker
        for match in matches:
            if worker is not None and worker.submit(match):
                pipeline.health.displaced += 1

    def _clock_jumped(self, _jump: Any) -> None:
        with self._intake_lock:
            self._required(self._pipeline).intake.reset("clock jumped back")
        if self._tf is not None:
            self._tf.clear()

    # Answers out, on the worker's thread ------------------------------------------------------------------------

    def _answer(self, match: Match[Modality, SensorFrame]) -> None:
        pipeline = self._required(self._pipeline)
        answer = pipeline.answer(match)
        self._publish(answer)
        latency_ns = time.monotonic_ns() - match.arrival_ns
        pipeline.health.count_output(subset_key(answer.labels.used), latency_ns)
        status = self._stamped(DiagnosticArray(), answer.labels)
        name = self.get_fully_qualified_name()
        fill_output_status(status, DiagnosticStatus, KeyValue, name=name, labels=answer.labels, latency_ns=latency_ns)
        self._outputs["used_sensors"].publish(status)

    def _publish(self, answer: Answer) -> None:
        labels = answer.labels
        pictures: dict[str, tuple[str, Callable[[], NDArray[Any]]]] = {
            "labels": ("mono8", lambda: labels.labels),
            "color": ("rgb8", lambda: labels.classes.colourize(labels.labels)),
            "overlay": ("rgb8", lambda: overlay(labels, answer.frames, self._config.output.overlay_alpha)),
            "confidence": ("32FC1", lambda: labels.confidence),
        }
        for topic, (encoding, pixels) in pictures.items():
            if self._outputs[topic].get_subscription_count() > 0:
                message = Image()
                fill_image(message, pixels(), encoding, stamp_ns=labels.stamp_ns, frame_id=labels.frame_id)
                self._outputs[topic].publish(message)

    @staticmethod
    def _stamped(message: DiagnosticArray, labels: LabelMap) -> DiagnosticArray:
        message.header.stamp.sec, message.header.stamp.nanosec = stamp_fields(labels.stamp_ns)
        message.header.frame_id = labels.frame_id
        return message

    def _answer_failed(self, error: Exception) -> None:
        pipeline = self._pipeline
        if pipeline is not None:
            kind = "no answer" if isinstance(error, Any2SegError) else f"unexpected {type(error).__name__}"
            pipeline.report("inference", kind, str(error))

    # What the node tells ---------------------------------------------------------------------------------------

    def _publish_label_info(self) -> None:
        publisher, vision_class = self._outputs.get("label_info"), compat.optional_type("vision_class")
        if publisher is None or vision_class is None or self._segmenter is None:
            return
        message = publisher.msg_type()
        now = self.get_clock().now().nanoseconds
        fill_label_info(
            message, self._segmenter.classes, threshold=0.0, vision_class_type=vision_class, stamp_ns=now, frame_id=""
        )
        publisher.publish(message)

    def _publish_diagnostics(self) -> None:
        pipeline = self._required(self._pipeline)
        with self._intake_lock:
            states = dict(pipeline.intake.states(time.monotonic_ns()))
        self._log_transitions({modality: status.state for modality, status in states.items()})
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name()
        fill_diagnostics(message, DiagnosticStatus, KeyValue, name=name, health=pipeline.health, states=states)
        self._outputs["diagnostics"].publish(message)

    def _log_transitions(self, states: dict[Modality, StreamState]) -> None:
        for modality, new in states.items():
            old = self._last_states.get(modality)
            if old is not None and old != new:
                self.get_logger().warning(f"{modality.value}: {old.value} -> {new.value}")
        self._last_states = states

    def _log_problem(self, source: str, kind: str, message: str) -> None:
        """Log a problem, but equal kinds no oftener than the log period."""
        key, now = f"{source}: {kind}", time.monotonic()
        if now - self._log_times.get(key, -1e9) >= self._config.diagnostics.log_period_s:
            self._log_times[key] = now
            self.get_logger().warning(f"{key}: {message}")

    def _parameters_set(self, changes: Iterable[Parameter[Any]]) -> SetParametersResult:
        try:
            config = parameters.changed(self, self._config, changes, running=self._pipeline is not None)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._pipeline is not None:
            self._config = config
        return SetParametersResult(successful=True)
