# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics, relative to its namespace, and the types of their messages."""

from __future__ import annotations

from typing import Final

from any2seg_core.errors import DependencyError
from any2seg_core.frames import Modality
from any2seg_ros import compat

DATA_TOPICS: Final = {
    Modality.RGB: "rgb/image",
    Modality.DEPTH: "depth/image",
    Modality.EVENT: "event/events",
    Modality.LIDAR: "lidar/points",
}
CAMERA_INFO_TOPICS: Final = {
    Modality.RGB: "rgb/camera_info",
    Modality.DEPTH: "depth/camera_info",
    Modality.EVENT: "event/camera_info",
}
IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
RAW: Final = "raw"
POINT_CLOUD: Final = "sensor_msgs/msg/PointCloud2"
_PLAIN_EVENTS: Final = {"image": IMAGE, "point_cloud": POINT_CLOUD}


def transport_topic(topic: str, transport: str) -> str:
    """Give the topic that image_transport publishes a transport of an image topic on; topic is already remapped."""
    return topic if transport == RAW else f"{topic}/{transport}"


def message_type(modality: Modality, event_message: str, transport: str = RAW) -> type:
    """Give the message class of a sensor's topic.

    Args:
        modality: the sensor.
        event_message: the parameter event.message, which decides for the event camera.
        transport: image transport of a camera.

    Raises:
        DependencyError: the event camera's message package is not installed.
    """
    if transport != RAW:
        return compat.message_class(COMPRESSED_IMAGE)
    if modality is not Modality.EVENT:
        return compat.message_class(POINT_CLOUD if modality is Modality.LIDAR else IMAGE)
    if event_message in _PLAIN_EVENTS:
        return compat.message_class(_PLAIN_EVENTS[event_message])
    found = compat.optional_type(event_message)
    if found is None:
        msg = (
            f"event.message is {event_message!r} and no package with {compat.OPTIONAL_TYPES[event_message]} is "
            "installed; install it, set event.message to point_cloud or image, or leave event out of modalities"
        )
        raise DependencyError(msg)
    return found
