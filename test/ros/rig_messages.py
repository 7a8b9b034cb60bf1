# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One message of each sensor of each rig, laid out to the byte as the driver named in the rig's file publishes it."""

import numpy as np

from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import Fields, header_fields, image_fields, make

STAMP_NS = 1_700_000_000_123_456_789
HEIGHT, WIDTH = 48, 64
RGB, DEPTH, EVENT, LIDAR = Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR
_POINT_FIELDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
_SWEEP_NS = 100_000_000


def image(encoding, frame_id, stamp_ns):
    """A picture with a gradient; depth has holes marked as the encoding's drivers mark them."""
    ramp = np.linspace(0.2, 1.0, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    if encoding == "32FC1":
        pixels = ramp * 10
        pixels[:, 0], pixels[:, 1] = np.nan, np.inf
    elif encoding == "16UC1":
        pixels = (ramp * 10_000).astype(np.uint16)
        pixels[:, 0] = 0
    elif encoding == "mono16":
        pixels = (ramp * 65535).astype(np.uint16)
    else:
        channels = 4 if encoding == "bgra8" else 3
        pixels = np.repeat((ramp * 255).astype(np.uint8)[..., None], channels, axis=2)
    return make(image_fields(pixels, encoding, stamp_ns=stamp_ns, frame_id=frame_id), compat.message_class)


def cloud(layout, frame_id, stamp_ns, *, times, nothing, height=1):
    """A sweep of a hundred points ahead and one that is no return, in a record layout.

    Args:
        layout: record dtype, with the driver's offsets and padding.
        times: name of the time field, and the time of each point as the driver writes it (callable of seconds 0 to 1).
        nothing: coordinate of a point that is no return.
    """
    points = np.zeros(100, layout)
    share = np.linspace(0, 1, 100)
    points["x"], points["y"], points["z"] = 5 + 10 * share, 4 * share - 2, 0.5
    name, of_share = times
    points[name] = of_share(share)
    for axis in "xyz":
        points[axis][50] = nothing
    points["intensity"] = 80
    for extra in {"ring", "reflectivity", "line", "tag"} & set(layout.names):
        points[extra] = 3
    kinds = {n: kind.str.lstrip("<|") for n, (kind, *_) in layout.fields.items()}
    fields = [
        Fields("sensor_msgs/msg/PointField", {"name": n, "offset": at, "datatype": _POINT_FIELDS[kinds[n]], "count": 1})
        for n, (_, at, *_) in layout.fields.items()
    ]
    values = {
        "header": header_fields(stamp_ns, frame_id),
        "height": height, "width": 100 // height, "fields": fields, "is_bigendian": False,
        "point_step": layout.itemsize, "row_step": layout.itemsize * 100 // height,
        "data": points.view(np.uint8), "is_dense": True,
    }  # fmt: skip
    return make(Fields("sensor_msgs/msg/PointCloud2", values), compat.message_class)


def record(point_step, **fields):
    """A record dtype from name=(kind, offset)."""
    kinds, offsets = zip(*fields.values(), strict=True)
    return np.dtype({"names": list(fields), "formats": list(kinds), "offsets": list(offsets), "itemsize": point_step})


XYZ = {"x": ("<f4", 0), "y": ("<f4", 4), "z": ("<f4", 8)}
OUSTER = record(
    48, **XYZ, intensity=("<f4", 16), t=("<u4", 20), reflectivity=("<u2", 24), ring=("<u2", 26), ambient=("<u2", 28),
    range=("<u4", 32),
)  # fmt: skip
VELODYNE = record(22, **XYZ, intensity=("<f4", 12), ring=("<u2", 16), time=("<f4", 18))
HESAI = record(26, **XYZ, intensity=("<f4", 12), ring=("<u2", 16), timestamp=("<f8", 18))
LIVOX = record(26, **XYZ, intensity=("<f4", 12), tag=("u1", 16), line=("u1", 17), timestamp=("<f8", 18))


def ouster(stamp_ns):
    times = ("t", lambda share: share * _SWEEP_NS)
    return cloud(OUSTER, "os_lidar", stamp_ns, times=times, nothing=0, height=4)


def velodyne(stamp_ns):
    times = ("time", lambda share: (share - 1) * _SWEEP_NS * 1e-9)
    return cloud(VELODYNE, "velodyne", stamp_ns, times=times, nothing=np.nan, height=10)


def hesai(stamp_ns):
    times = ("timestamp", lambda share: (stamp_ns + share * _SWEEP_NS) * 1e-9)
    return cloud(HESAI, "hesai_lidar", stamp_ns, times=times, nothing=0)


def livox(stamp_ns):
    times = ("timestamp", lambda share: stamp_ns + share * _SWEEP_NS)
    return cloud(LIVOX, "livox_frame", stamp_ns, times=times, nothing=0)


def event_words(encoding):
    """Two events of opposite polarity at column 7 and 9 of row 5, and the words that state time."""
    if encoding == "evt3":
        return [0x8010, 0x6020, 0x0005, 0x2007 | 0x800, 0x2009]
    return [0x0000, 0x1002, 0x2007, 0x3005 | 0x800, 0x2009, 0x3005]


def event_packet(encoding, frame_id, types):
    """An EventPacket; types gives the message classes, as its package is on few machines."""
    values = {
        "header": header_fields(STAMP_NS, frame_id),
        "height": HEIGHT, "width": WIDTH, "seq": 1, "time_base": 0, "encoding": encoding, "is_bigendian": False,
        "events": np.array(event_words(encoding), "<u2").view(np.uint8),
    }  # fmt: skip
    return make(Fields("event_camera_msgs/msg/EventPacket", values), types)


def realsense(encoding):
    return lambda stamp_ns: image(encoding, "camera_color_optical_frame", stamp_ns)


def zed(encoding):
    return lambda stamp_ns: image(encoding, "zed_left_camera_frame_optical", stamp_ns)


def davis(stamp_ns):
    return image("mono16", "camera", stamp_ns)


MESSAGES = {
    "realsense_d4xx": {RGB: realsense("rgb8"), DEPTH: realsense("16UC1")},
    "zed": {RGB: zed("bgra8"), DEPTH: zed("32FC1")},
    "ouster": {LIDAR: ouster},
    "velodyne": {LIDAR: velodyne},
    "hesai": {LIDAR: hesai},
    "livox": {LIDAR: livox},
    "davis": {RGB: davis},
}
"""What makes a sensor's message at a stamp, by rig."""
EVENTS = {"prophesee": ("evt3", "event_camera"), "davis": ("libcaer_cmp", "camera")}
"""Encoding and frame of the event packets, by rig."""
