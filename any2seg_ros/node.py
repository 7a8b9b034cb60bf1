# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""segmentation_node: a lifecycle node that wires topics, timers and services to a session; it owns no algorithm."""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]  # Humble has it nowhere else
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CameraInfo

from any2seg_core.config import SHIPPED, UNTRAINED, NodeConfig
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Modality, subset_key
from any2seg_core.inference import EnduringSegmenter, release_memory
from any2seg_ros import compat, controls, parameters, qos
from any2seg_ros.diagnostics import ThrottledLog
from any2seg_ros.outputs import Outputs
from any2seg_ros.pipeline import Pipeline
from any2seg_ros.session import Session
from any2seg_ros.tf_lookup import TfLookup
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS, message_type, transport_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rclpy.parameter import Parameter

SUCCESS: Final = TransitionCallbackReturn.SUCCESS
FAILURE: Final = TransitionCallbackReturn.FAILURE
ERROR: Final = TransitionCallbackReturn.ERROR
SHORTEST_POLL_S: Final = 0.005
LONGEST_POLL_S: Final = 0.02
"""A dead anchor is replaced on time only if somebody looks often enough, however long a set may wait."""
POLLS_PER_WAIT: Final = 4
RELOAD_POLL_S: Final = 0.05
"""How often to look whether a checkpoint has loaded."""


class SegmentationNode(LifecycleNode):
    """Publishes the best label image that the living sensors allow, and says which it used.

    Subscribes to rgb/image, rgb/camera_info, depth/image, depth/camera_info, event/events, event/camera_info and
    lidar/points. Publishes ~/labels (mono8), ~/color, ~/overlay (rgb8), ~/confidence (32FC1), each only while
    somebody subscribes, and likewise ~/camera_info of the label image, ~/points, the LiDAR's scan with labels, and
    ~/debug/timing; ~/label_info (latched), ~/used_sensors with every output, and /diagnostics. The services
    ~/enable_rgb, _depth, _event and _lidar switch sensors, ~/reload_checkpoint loads inference.checkpoint.
    """

    def __init__(self, name: str = "segmentation_node", **kwargs: Any) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **kwargs)
        self._start_problem: ConfigError | None = None
        try:
            parameters.declare(self, NodeConfig, parameters.take_overrides(self))
        except ConfigError as error:
            self._start_problem = error
        self.add_on_set_parameters_callback(self._parameters_set)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # What undoes each step: every part is undone, the newest first, whatever becomes of the others.
        self._configured, self._active = ExitStack(), ExitStack()
        self._sensors: dict[Modality, ExitStack] = {}
        self._offer_services()
        self._clear()

    def _clear(self) -> None:
        """Hold nothing: the state of an unconfigured node."""
        self._config = NodeConfig()
        self._session: Session | None = None
        self._tf: TfLookup | None = None

    # Life cycle ------------------------------------------------------------------------------------------------

    @property
    def autostart(self) -> bool:
        """Whether the node should configure and activate by itself."""
        return bool(self.get_parameter("autostart").value)

    def start(self) -> bool:
        """Configure and activate, as a lifecycle manager would; False if that failed (the log says why)."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def stop(self) -> None:
        """End all work and give the memory back, whatever state the node is in; what fails on the way is logged."""
        self._attempt("stopped", self._deactivate)
        self._attempt("cleaned up", self._configured.close)
        self._clear()
        release_memory()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model, warm it up, create the publishers."""
        if self._attempt("configured", self._configure) != SUCCESS:
            self.stop()
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and begin to answer; what cannot be had leaves the node inactive, what breaks unconfigures it."""
        result = super().on_activate(state)
        done = self._attempt("activated", self._activate)
        if done == SUCCESS:
            return result
        undone = self._attempt("deactivated", self._deactivate)
        super().on_deactivate(state)
        return done if undone == SUCCESS else undone

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and let the frame in work finish."""
        done = self._attempt("deactivated", self._deactivate)
        result = super().on_deactivate(state)
        return result if done == SUCCESS else ERROR

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

    def _attempt(self, what: str, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Take a step of the life cycle; rclpy would swallow what it raises, so the log has to say it.

        Returns:
            FAILURE for an error of ours, after which all is well but for what was asked; ERROR for any other.
        """
        try:
            step()
        except Any2SegError as error:
            self.get_logger().error(f"not {what}: {error}")
            return FAILURE
        except Exception as error:  # noqa: BLE001  # a library failed: the node stays up and can be asked again
            kind = type(error).__name__
            self.get_logger().error(f"not {what}: unexpected {kind}: {error}\n{traceback.format_exc()}")
            return ERROR
        return SUCCESS

    def _configure(self) -> None:
        if self._start_problem is not None:
            raise self._start_problem
        config = self._config = parameters.read(self, NodeConfig)
        segmenter = EnduringSegmenter(config.inference, [Modality(name) for name in config.modalities])
        self._tf = TfLookup(self, config.lidar.tf_tolerance_s)
        self._configured.callback(self._tf.close)
        report = ThrottledLog(self.get_logger().warning, config.diagnostics.log_period_s)
        pipeline = Pipeline(config, segmenter, lookup=self._tf, motion=self._tf.exact, report=report)
        pipeline.warm_up(config.inference.warm_up_height_px, config.inference.warm_up_width_px)
        name = self.get_fully_qualified_name()
        outputs = Outputs(self._publisher, reliability=config.output.reliability, name=name)
        log, clock = self.get_logger(), self.get_clock()
        self._session = Session(config, pipeline, segmenter, outputs=outputs, log=log, clock=clock)
        self._configured.callback(self._session.close)
        self._tell_model("configured", self._session)

    def _tell_model(self, what: str, session: Session) -> None:
        segmenter, used = session.segmenter, session.pipeline.modalities
        self.get_logger().info(f"{what}: {subset_key(used)}, weights {segmenter.name!r} on {segmenter.device}")
        if segmenter.name == UNTRAINED:
            self.get_logger().warning("the weights are untrained: labels are random, good only to check the wiring")
        elif segmenter.name == SHIPPED:
            self.get_logger().warning(f"weights {SHIPPED!r} learnt simulated streets alone: do not drive by them")
        unknown = [name for name in self._config.modalities if Modality(name) not in used]
        if unknown:
            self.get_logger().warning(f"not subscribed to {', '.join(unknown)}: checkpoint {segmenter.name!r} lacks it")

    def _publisher(self, kind: type, topic: str, profile: Any) -> Any:
        publisher: Any = self.create_lifecycle_publisher(kind, topic, profile)
        self._configured.callback(self.destroy_lifecycle_publisher, publisher)
        return publisher

    def _activate(self) -> None:
        session, sync = self._session, self._config.sync
        if session is None:
            raise ConfigError("the node is not configured; configure it before it is activated")
        self._active.callback(session.end)
        session.begin()
        self._subscribe_sensors(session)
        poll_s = min(max(sync.max_wait_s / POLLS_PER_WAIT, SHORTEST_POLL_S), LONGEST_POLL_S)
        self._add_timer(poll_s, session.poll)
        self._add_timer(self._config.diagnostics.period_s, session.tell_health)
        self._watch_clock(sync.jump_threshold_s)

    def _deactivate(self) -> None:
        while self._sensors:
            self._active.push(self._sensors.popitem()[1])
        self._active.close()

    # Messages, timers and clock -----------------------------------------------------------------------------------

    def _subscribe_sensors(self, session: Session) -> None:
        """Subscribe to the sensors that the model takes, and to no others."""
        for modality in [known for known in self._sensors if known not in session.pipeline.modalities]:
            self._sensors.pop(modality).close()
        for modality in session.pipeline.modalities:
            if modality not in self._sensors:
                self._sensors[modality] = ExitStack()
                self._subscribe_sensor(session, modality)

    def _subscribe_sensor(self, session: Session, modality: Modality) -> None:
        sensor, transport = self._config.sensor(modality), self._config.transport(modality)
        kind = message_type(modality, self._config.event.message, transport)
        profile = qos.stream(sensor.reliability, sensor.queue_depth)
        # A remapping names the image topic; image_transport's suffix goes behind what that comes to.
        topic = transport_topic(self.resolve_topic_name(DATA_TOPICS[modality]), transport)
        self._subscribe(topic, kind, profile, session.take, modality)
        if modality in CAMERA_INFO_TOPICS:
            info_topic, info_profile = CAMERA_INFO_TOPICS[modality], qos.stream("best_effort", 5)
            self._subscribe(info_topic, CameraInfo, info_profile, session.see_camera_info, modality)

    def _subscribe(
        self, topic: str, kind: type, profile: Any, callback: Callable[..., None], modality: Modality
    ) -> None:
        subscriber = compat.message_filters().Subscriber(self, kind, topic, qos_profile=profile)
        subscriber.registerCallback(partial(callback, modality))
        self._sensors[modality].callback(self.destroy_subscription, subscriber.sub)

    def _add_timer(self, period_s: float, callback: Callable[[], None]) -> None:
        # The steady clock: with simulated time a timer would stall when /clock does, and sensors may die then too.
        timer = self.create_timer(period_s, callback, clock=self._steady)
        self._active.callback(self.destroy_timer, timer)

    def _watch_clock(self, threshold_s: float) -> None:
        back = Duration(nanoseconds=-max(1, round(threshold_s * 1e9)))
        jump = JumpThreshold(min_forward=None, min_backward=back)
        handle = self.get_clock().create_jump_callback(jump, post_callback=self._clock_jumped)
        self._active.callback(handle.unregister)

    def _clock_jumped(self, _jump: Any) -> None:
        if self._session is not None and self._tf is not None:
            self._session.forget("clock jumped back", self._tf.clear)

    # Control ---------------------------------------------------------------------------------------------------

    def _offer_services(self) -> None:
        set_bool, trigger = compat.service_class("std_srvs/srv/SetBool"), compat.service_class("std_srvs/srv/Trigger")
        for modality in DATA_TOPICS:
            self.create_service(set_bool, f"~/enable_{modality.value}", partial(self._switch, modality))
        # In a group of its own: it waits for a checkpoint to load, and nothing else may wait for that.
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(trigger, "~/reload_checkpoint", self._reload, callback_group=group)

    def _switch(self, modality: Modality, request: Any, response: Any) -> Any:
        response.success, response.message = controls.switch(self._session, modality, enabled=request.data)
        if response.success:
            self.get_logger().info(response.message)
        return response

    async def _reload(self, _request: Any, response: Any) -> Any:
        session = self._session
        if session is None:
            response.message = controls.NOT_CONFIGURED
            return response
        work = partial(controls.reload_checkpoint, session, self._config, EnduringSegmenter, release_memory)
        timer = self.create_timer(RELOAD_POLL_S, lambda: None, clock=self._steady)
        try:
            response.success, response.message = await controls.Background(work, "any2seg reload")
        finally:
            self.destroy_timer(timer)
        if not response.success:
            self.get_logger().warning(f"checkpoint not loaded: {response.message}")
            return response
        if session.worker is not None:
            self._attempt("subscribed", partial(self._subscribe_sensors, session))
        self._tell_model("reloaded", session)
        return response

    def _parameters_set(self, changes: Iterable[Parameter[Any]]) -> SetParametersResult:
        try:
            config = parameters.changed(self, self._config, changes, running=self._session is not None)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        session = self._session
        if session is not None:
            before, self._config, session.config = self._config.output, config, config
            if before.confidence_floor != config.output.confidence_floor and session.worker is not None:
                session.tell_labels()
        return SetParametersResult(successful=True)
