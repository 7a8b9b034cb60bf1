# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The one place that chooses between a ROS distribution's packages and what stands in for them.

A plain `pip install` of rclpy brings message classes and little else. What any2seg needs beyond that is asked
for here, as a function that looks once and remembers: the distribution's package where it works, a small
stand-in with the same calls where that is possible, and None where it is not. Nothing is imported before it is
asked for, so bags can be read with no ROS installed.
"""

from __future__ import annotations

import array
import functools
import importlib
import importlib.metadata
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

OPTIONAL_TYPES: Final = {
    "label_info": "vision_msgs/msg/LabelInfo",
    "vision_class": "vision_msgs/msg/VisionClass",
    "event_packet": "event_camera_msgs/msg/EventPacket",
    "event_array": "dvs_msgs/msg/EventArray",
    "prophesee_event_array": "prophesee_event_msgs/msg/EventArray",
    "tf_message": "tf2_msgs/msg/TFMessage",
}
"""Message types that a plain install may lack, by the name optional_type takes."""


@functools.cache
def message_class(type_name: str) -> type:
    """Import an rclpy message class by its type name, for example "sensor_msgs/msg/Image".

    Raises:
        DependencyError: the package, or the message in it, is not installed.
    """
    return _interface(type_name, "msg")


def optional_type(name: str) -> type | None:
    """The message class of one of OPTIONAL_TYPES, or None where its package is not installed."""
    try:
        return message_class(OPTIONAL_TYPES[name])
    except DependencyError:
        return None


@functools.cache
def message_filters() -> Any:
    """The module message_filters, or a stand-in with SimpleFilter, Subscriber and Cache.

    Create subscribers as `Subscriber(node, Type, topic, qos_profile=q)`, the one form that all releases share.
    """
    found = _working("message_filters", "Subscriber", "Cache", "SimpleFilter")
    if found is not None:
        return found
    return SimpleNamespace(SimpleFilter=SimpleFilter, Subscriber=Subscriber, Cache=Cache)


@functools.cache
def create_cloud() -> Callable[[Any, list[Any], NDArray[Any]], Any]:
    """sensor_msgs_py.point_cloud2.create_cloud or a stand-in: header, fields and records (N,) to PointCloud2."""
    found = _working("sensor_msgs_py.point_cloud2", "create_cloud")
    return _create_cloud if found is None else found.create_cloud


@functools.cache
def service_class(type_name: str) -> type:
    """Import an rclpy service class by its type name, for example "std_srvs/srv/Trigger".

    Raises:
        DependencyError: the package, or the service in it, is not installed.
    """
    return _interface(type_name, "srv")


@functools.cache
def tf2_ros() -> Any | None:
    """The module tf2_ros, or None: then transforms can only come from parameters."""
    return _working("tf2_ros", "Buffer", "TransformListener")


@functools.cache
def cv_bridge() -> Any | None:
    """The module cv_bridge, or None where it is missing or does not get along with the NumPy installed."""
    module = _working("cv_bridge", "CvBridge")
    if module is None:
        return None
    probe = SimpleNamespace(
        height=1, width=1, encoding="bgr8", is_bigendian=0, step=3, data=np.array([1, 2, 3], np.uint8)
    )
    try:
        pixels = np.asarray(module.CvBridge().imgmsg_to_cv2(probe, "rgb8"))
    except Exception:  # noqa: BLE001  whatever its compiled half raises, it is of no use here
        return None
    return module if pixels.tolist() == [[[3, 2, 1]]] else None


@functools.cache
def colour_converters() -> Mapping[str, Callable[[Any], NDArray[Any]]]:
    """Libraries that turn an unpadded, native-order Image of a Bayer or YUV encoding into RGB, best first."""
    converters: dict[str, Callable[[Any], NDArray[Any]]] = {}
    bridge = cv_bridge()
    if bridge is not None:
        converters["cv_bridge"] = functools.partial(bridge.CvBridge().imgmsg_to_cv2, desired_encoding="rgb8")
    rosbags_image = _working("rosbags.image", "image_to_cvimage")
    if rosbags_image is not None:

        def convert(image: Any) -> NDArray[Any]:
            # rosbags-image takes height for the number of rows in the data, which for NV12 is half as many again.
            rows = SimpleNamespace(**{**vars(image), "height": image.rows})
            return np.asarray(rosbags_image.image_to_cvimage(rows, "rgb8"))

        converters["rosbags-image"] = convert
    return converters


def available() -> dict[str, str]:
    """Tell what is used for each optional part: "distribution" and its version, "stand-in" or "absent"."""
    report = {
        "message_filters": _describe(message_filters(), "message_filters", "stand-in"),
        "sensor_msgs_py": _describe(
            _working("sensor_msgs_py.point_cloud2", "create_cloud"), "sensor_msgs_py", "stand-in"
        ),
        "tf2_ros": _describe(tf2_ros(), "tf2_ros", "absent"),
        "cv_bridge": _describe(cv_bridge(), "cv_bridge", "stand-in" if colour_converters() else "absent"),
    }
    for name, type_name in OPTIONAL_TYPES.items():
        report[type_name] = _describe(optional_type(name), type_name.partition("/")[0], "absent")
    return report


def _working(module: str, *names: str) -> Any | None:
    """Import a module and check that it is the real one: a stray folder of that name imports as an empty package."""
    try:
        found = importlib.import_module(module)
    except Exception:  # noqa: BLE001  binaries built against another NumPy raise far more than ImportError
        return None
    return found if all(hasattr(found, name) for name in names) else None


def _interface(type_name: str, kind: str) -> type:
    package, _, name = type_name.partition(f"/{kind}/")
    try:
        found: type = getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ImportError, AttributeError, TypeError, ValueError):
        what = "message" if kind == "msg" else "service"
        msg = (
            f"{what} type: found no {type_name!r}, expected a package {package!r} with it; "
            "install the package in this ROS environment"
        )
        raise DependencyError(msg) from None
    return found


def _create_cloud(header: Any, fields: list[Any], points: NDArray[Any]) -> Any:
    """Make a PointCloud2 of one row of records (N,) that fields describe, little-endian."""
    step = points.dtype.itemsize
    message: Any = message_class("sensor_msgs/msg/PointCloud2")(
        header=header, height=1, width=len(points), fields=fields, point_step=step, row_step=step * len(points)
    )
    message.data = array.array("B", points.tobytes())
    return message


def _describe(found: Any | None, package: str, otherwise: str) -> str:
    if found is None or isinstance(found, SimpleNamespace):
        return otherwise
    try:
        return f"distribution {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return "distribution"


class SimpleFilter:
    """Passes what it is given to the callbacks registered, in order of registration."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., Any], *args: Any) -> int:  # noqa: N802  message_filters' name
        """Call cb with each message followed by args; returns the number of the connection."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802  message_filters' name
        """Pass a message on."""
        for cb, args in self.callbacks.values():
            cb(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as a filter; attributes that it lacks are the subscription's own.

    Args:
        args: node, message type, topic.
        kwargs: further arguments of node.create_subscription; qos_profile is 10 unless given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.node, _, self.topic = args[:3]
        self.sub = self.node.create_subscription(*args[1:], self.callback, **{"qos_profile": 10, **kwargs})

    def callback(self, msg: Any) -> None:
        """Pass a received message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:  # noqa: N802  message_filters' name
        """Topic as given."""
        return str(self.topic)

    def __getattr__(self, name: str) -> Any:
        if name == "sub":
            raise AttributeError(name)
        return getattr(self.sub, name)


class Cache(SimpleFilter):
    """Keeps the last messages of a filter, in order of arrival, and finds them by their header's stamp.

    Args:
        f: the filter to keep.
        cache_size: how many messages to keep.
        allow_headerless: keep messages without a header too, under the ROS time of their arrival.
    """

    def __init__(self, f: Any, cache_size: int = 1, allow_headerless: bool = False) -> None:  # noqa: FBT001, FBT002
        super().__init__()
        self.cache_size = cache_size
        self.allow_headerless = allow_headerless
        self.cache_msgs: list[Any] = []
        self.cache_times: list[Any] = []
        self.connectInput(f)

    def connectInput(self, f: Any) -> None:  # noqa: N802  message_filters' name
        """Keep what this filter passes on."""
        self.incoming_connection = f.registerCallback(self.add)

    def add(self, msg: Any) -> None:
        """Keep a message, forget the oldest one where there are too many, and pass it on."""
        time = self._time(msg)
        if time is None:
            return
        self.cache_times.append(time)
        self.cache_msgs.append(msg)
        if len(self.cache_msgs) > self.cache_size:
            del self.cache_msgs[0], self.cache_times[0]
        self.signalMessage(msg)

    def _time(self, msg: Any) -> Any | None:
        stamp = getattr(getattr(msg, "header", None), "stamp", None)
        if hasattr(stamp, "nanoseconds"):
            return stamp
        if stamp is not None:
            return importlib.import_module("rclpy.time").Time.from_msg(stamp)
        if self.allow_headerless:
            return importlib.import_module("rclpy.clock").ROSClock().now()
        importlib.import_module("rclpy.logging").get_logger("message_filters_cache").warning(
            f"cache: found {type(msg).__name__} without a header, expected one; set allow_headerless to keep it"
        )
        return None

    def getInterval(self, from_stamp: Any, to_stamp: Any) -> list[Any]:  # noqa: N802  message_filters' name
        """Messages from one time to another, both included."""
        return [msg for msg, time in self._items() if from_stamp <= time <= to_stamp]

    def getElemAfterTime(self, stamp: Any) -> Any | None:  # noqa: N802  message_filters' name
        """The first message to arrive that is not before a time, or None."""
        return next((msg for msg, time in self._items() if time >= stamp), None)

    def getElemBeforeTime(self, stamp: Any) -> Any | None:  # noqa: N802  message_filters' name
        """The last message to arrive that is not after a time, or None."""
        return next((msg for msg, time in reversed(self._items()) if time <= stamp), None)

    def getLastestTime(self) -> Any | None:  # noqa: N802  message_filters' name, spelled as there
        """Time of the last message to arrive, or None."""
        return self.cache_times[-1] if self.cache_times else None

    def getOldestTime(self) -> Any | None:  # noqa: N802  message_filters' name
        """Time of the first message kept, or None."""
        return self.cache_times[0] if self.cache_times else None

    def getLast(self) -> Any | None:  # noqa: N802  message_filters' name
        """The message of the last time, or None."""
        return self.getElemAfterTime(self.cache_times[-1]) if self.cache_times else None

    def _items(self) -> list[tuple[Any, Any]]:
        return list(zip(self.cache_msgs, self.cache_times, strict=True))
