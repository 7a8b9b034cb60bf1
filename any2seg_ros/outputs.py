# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Everything that the node publishes, written into messages; a picture only where somebody subscribes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CameraInfo, Image

from any2seg_ros import compat, qos
from any2seg_ros.conversions import camera_info_fields, fill_image, fill_label_info, make, stamp_fields
from any2seg_ros.diagnostics import fill_diagnostics, fill_output_status
from any2seg_ros.overlay import overlay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_core.frames import ClassTable, Modality
    from any2seg_core.synchronizer import StreamStatus
    from any2seg_ros.diagnostics import Health
    from any2seg_ros.pipeline import Answer

Drawing: TypeAlias = "Callable[[Answer, float], NDArray[Any]]"
"""Makes an image of an answer; the number is the weight of colours in the overlay."""
IMAGES: Final[dict[str, tuple[str, Drawing]]] = {
    "labels": ("mono8", lambda answer, _: answer.labels.labels),
    "color": ("rgb8", lambda answer, _: answer.labels.classes.colourize(answer.labels.labels)),
    "overlay": ("rgb8", lambda answer, alpha: overlay(answer.labels, answer.frames, alpha)),
    "confidence": ("32FC1", lambda answer, _: answer.labels.confidence),
}
"""Encoding and drawing of each image output, by its topic below the node's name."""


class Outputs:
    """Publishes answers, label meanings and diagnostics.

    Args:
        make_publisher: called with message type, topic and QoS profile for each output.
        reliability: of the streams, "reliable" or "best_effort".
        name: the node's, as statuses state it.
    """

    def __init__(self, make_publisher: Callable[[type, str, Any], Any], *, reliability: str, name: str) -> None:
        stream = qos.stream(reliability, 5)
        self._publishers = {topic: make_publisher(Image, f"~/{topic}", stream) for topic in IMAGES}
        self._publishers["camera_info"] = make_publisher(CameraInfo, "~/camera_info", stream)
        self._publishers["used_sensors"] = make_publisher(DiagnosticArray, "~/used_sensors", stream)
        self._publishers["diagnostics"] = make_publisher(DiagnosticArray, "/diagnostics", qos.stream("reliable", 10))
        label_info = compat.optional_type("label_info")
        if label_info is not None:
            self._publishers["label_info"] = make_publisher(label_info, "~/label_info", qos.latched())
        self._name = name

    def publish_images(self, answer: Answer, alpha: float) -> None:
        """Publish the answer as images, with the anchor's header; alpha is the weight of colours in the overlay."""
        labels = answer.labels
        for topic, (encoding, draw) in IMAGES.items():
            # Making an image costs more than asking whether anybody wants it.
            if self._publishers[topic].get_subscription_count() > 0:
                message = Image()
                fill_image(message, draw(answer, alpha), encoding, stamp_ns=labels.stamp_ns, frame_id=labels.frame_id)
                self._publishers[topic].publish(message)

    def publish_camera_info(self, answer: Answer) -> None:
        """Publish the intrinsics of the label image, with its stamp and of its size, where they are known."""
        publisher, camera = self._publishers["camera_info"], answer.camera
        if camera is not None and publisher.get_subscription_count() > 0:
            publisher.publish(make(camera_info_fields(camera, stamp_ns=answer.labels.stamp_ns), compat.message_class))

    def publish_used_sensors(self, answer: Answer, latency_ns: int) -> None:
        """Say which sensors served an answer, and how old they were."""
        message, labels = DiagnosticArray(), answer.labels
        message.header.stamp.sec, message.header.stamp.nanosec = stamp_fields(labels.stamp_ns)
        message.header.frame_id = labels.frame_id
        fill_output_status(
            message,
            DiagnosticStatus,
            KeyValue,
            name=self._name,
            labels=labels,
            ages_ns=answer.ages_ns,
            latency_ns=latency_ns,
        )
        self._publishers["used_sensors"].publish(message)

    def publish_label_info(self, classes: ClassTable, stamp_ns: int, threshold: float) -> None:
        """Say what the labels mean and how sure they are at least, where vision_msgs is installed."""
        publisher, vision_class = self._publishers.get("label_info"), compat.optional_type("vision_class")
        if publisher is None or vision_class is None:
            return
        message = publisher.msg_type()
        fill_label_info(
            message, classes, threshold=threshold, vision_class_type=vision_class, stamp_ns=stamp_ns, frame_id=""
        )
        publisher.publish(message)

    def publish_diagnostics(
        self,
        health: Health,
        states: Mapping[Modality, StreamStatus],
        notes: Mapping[Modality, Mapping[str, object]],
        *,
        now_ns: int,
        stamp: Any,
    ) -> None:
        """Publish how the node does; now_ns on the steady clock, stamp for the header."""
        message = DiagnosticArray()
        message.header.stamp = stamp
        fill_diagnostics(
            message,
            DiagnosticStatus,
            KeyValue,
            name=self._name,
            health=health,
            states=states,
            notes=notes,
            now_ns=now_ns,
        )
        self._publishers["diagnostics"].publish(message)
