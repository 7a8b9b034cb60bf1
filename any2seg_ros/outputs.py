# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""All that the node publishes, written into messages; a picture or a cloud only where somebody subscribes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from any2seg_ros import compat, qos
from any2seg_ros.conversions import camera_info_fields, fill_image, fill_label_info, make, stamp_fields
from any2seg_ros.labelled_cloud import cloud_message, labelled_columns
from any2seg_ros.overlay import overlay
from any2seg_ros.statuses import fill_diagnostics, fill_output_status, fill_timing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_core.config import OutputConfig
    from any2seg_core.frames import ClassTable, LabelMap
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
TIMING: Final = "debug/timing"


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
        self._publishers["points"] = make_publisher(PointCloud2, "~/points", stream)
        self._publishers["used_sensors"] = make_publisher(DiagnosticArray, "~/used_sensors", stream)
        self._publishers[TIMING] = make_publisher(DiagnosticArray, f"~/{TIMING}", stream)
        self._publishers["diagnostics"] = make_publisher(DiagnosticArray, "/diagnostics", qos.stream("reliable", 10))
        label_info = compat.optional_type("label_info")
        if label_info is not None:
            self._publishers["label_info"] = make_publisher(label_info, "~/label_info", qos.latched())
        self._name = name
        self._told_scan_ns = -1

    def publish_answer(self, answer: Answer, settings: OutputConfig) -> None:
        """Publish what an answer shows: images, their camera and, if asked, the meaning of labels, and the scan."""
        labels = answer.labels
        if settings.label_info_with_labels:
            floor = settings.confidence_floor
            self.publish_label_info(labels.classes, labels.stamp_ns, floor, frame_id=labels.frame_id)
        self.publish_images(answer, settings.overlay_alpha)
        self.publish_camera_info(answer)
        self.publish_points(answer)

    def publish_images(self, answer: Answer, alpha: float) -> None:
        """Publish the answer as images, with the anchor's header; alpha is the weight of colours in the overlay."""
        labels = answer.labels
        for topic, (encoding, draw) in IMAGES.items():
            # Making an image costs more than asking whether anybody wants it.
            if self._wanted(topic):
                message = Image()
                fill_image(message, draw(answer, alpha), encoding, stamp_ns=labels.stamp_ns, frame_id=labels.frame_id)
                self._publishers[topic].publish(message)

    def publish_camera_info(self, answer: Answer) -> None:
        """Publish the intrinsics of the label image, with its stamp and of its size, where they are known."""
        camera = answer.camera
        if camera is not None and self._wanted("camera_info"):
            fields = camera_info_fields(camera, stamp_ns=answer.labels.stamp_ns)
            self._publishers["camera_info"].publish(make(fields, compat.message_class))

    def publish_points(self, answer: Answer) -> None:
        """Publish the LiDAR's scan with labels, under its own header; each scan once.

        A slow LiDAR lends a scan to several outputs; told each time, it would count several times in maps.
        """
        scan = answer.scan
        if scan is None or scan.stamp_ns == self._told_scan_ns or not self._wanted("points"):
            return
        columns = labelled_columns(answer)
        if columns is not None:
            self._told_scan_ns = scan.stamp_ns
            message = cloud_message(columns, stamp_ns=scan.stamp_ns, frame_id=scan.frame_id)
            self._publishers["points"].publish(message)

    def publish_used_sensors(self, answer: Answer, latency_ns: int) -> None:
        """Say which sensors served an answer, how old they were, and why others did not."""
        message = fill_output_status(
            _stamped(answer.labels),
            DiagnosticStatus,
            KeyValue,
            name=self._name,
            labels=answer.labels,
            ages_ns=answer.ages_ns,
            latency_ns=latency_ns,
            disabled=answer.disabled,
        )
        self._publishers["used_sensors"].publish(message)

    def publish_timing(self, answer: Answer, latency_ns: int, stages_ns: Mapping[str, int]) -> None:
        """Say how long each stage of an answer took."""
        if self._wanted(TIMING):
            message = fill_timing(
                _stamped(answer.labels),
                DiagnosticStatus,
                KeyValue,
                name=self._name,
                latency_ns=latency_ns,
                stages_ns=stages_ns,
            )
            self._publishers[TIMING].publish(message)

    def publish_label_info(self, classes: ClassTable, stamp_ns: int, threshold: float, *, frame_id: str = "") -> None:
        """Say what the labels mean and how sure they are at least, where vision_msgs is installed."""
        publisher, vision_class = self._publishers.get("label_info"), compat.optional_type("vision_class")
        if publisher is None or vision_class is None:
            return
        message = publisher.msg_type()
        fill_label_info(
            message, classes, threshold=threshold, vision_class_type=vision_class, stamp_ns=stamp_ns, frame_id=frame_id
        )
        publisher.publish(message)

    def publish_diagnostics(self, *, stamp: Any, **told: Any) -> Any:
        """Publish how the node does, and give the message; see fill_diagnostics for what may be told."""
        message = DiagnosticArray()
        message.header.stamp = stamp
        fill_diagnostics(message, DiagnosticStatus, KeyValue, name=self._name, **told)
        self._publishers["diagnostics"].publish(message)
        return message

    def _wanted(self, topic: str) -> bool:
        return int(self._publishers[topic].get_subscription_count()) > 0


def _stamped(labels: LabelMap) -> Any:
    """Begin a DiagnosticArray that goes with an output, under its header."""
    message = DiagnosticArray()
    message.header.stamp.sec, message.header.stamp.nanosec = stamp_fields(labels.stamp_ns)
    message.header.frame_id = labels.frame_id
    return message
