# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of every type that carries sensor data: good ones, and strategies that change their fields."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
from hypothesis import strategies as st

U8, U16, I32, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 31, 32, 64))
SMALL = st.integers(0, 12)
SIZE = SMALL | U32 | st.sampled_from([65535, 2**31, 2**32 - 1])
TEXT = st.text(max_size=12)
NUMBER = st.floats() | st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e300])
BYTES = st.binary(max_size=160)
STAMP = 1_700_000_000
ENCODINGS = st.sampled_from(
    ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "rgb16", "bgra16", "8UC1", "8UC3", "16UC1", "32FC1", "32FC3",
     "bayer_rggb8", "bayer_gbrg16", "yuv422", "uyvy", "yuyv", "nv12", "nv21"]
)  # fmt: skip
FORMATS = st.sampled_from(
    ["png", "jpeg", "16UC1; compressedDepth rvl", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl",
     "rgb8; jpeg compressed rgb8", "bayer_rggb8; png compressed bayer_rggb8", "16UC1; png compressed 16UC1"]
)  # fmt: skip
NAMES = st.sampled_from(["x", "y", "z", "t", "p", "time", "ring", "intensity", "polarity"]) | TEXT
FIELD = st.builds(
    lambda name, offset, datatype: SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1),
    NAMES, SMALL | U32, st.integers(1, 8) | U8,
)  # fmt: skip
HEADER_FIELDS = {
    "header.stamp.sec": I32 | st.integers(-(2**31), 0),
    "header.stamp.nanosec": U32,
    "header.frame_id": TEXT,
}


def header():
    return SimpleNamespace(stamp=SimpleNamespace(sec=STAMP, nanosec=5), frame_id="sensor")


def field(name, offset, datatype):
    return SimpleNamespace(name=name, offset=offset, datatype=datatype, count=1)


def image(encoding, pixels):
    step = pixels.strides[0]
    return SimpleNamespace(
        header=header(), height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0, step=step,
        data=pixels.tobytes(),
    )  # fmt: skip


def cloud(layout, records):
    return SimpleNamespace(
        header=header(), height=1, width=len(records), fields=layout, is_bigendian=False,
        point_step=records.dtype.itemsize, row_step=records.nbytes, data=records.tobytes(), is_dense=True,
    )  # fmt: skip


def lidar_cloud():
    records = np.zeros(4, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("t", "<u4")])
    records["x"], records["t"] = np.arange(1, 5), np.arange(4) * 1000
    layout = [field(name, 4 * i, 6 if name == "t" else 7) for i, name in enumerate(records.dtype.names)]
    return cloud(layout, records)


def event_cloud():
    records = np.zeros(4, [("x", "<u2"), ("y", "<u2"), ("t", "<f4"), ("p", "u1")])
    records["x"], records["t"] = np.arange(4), np.arange(4) * 1e-3
    return cloud([field("x", 0, 4), field("y", 2, 4), field("t", 4, 7), field("p", 8, 2)], records)


def packet(encoding, words, letter):
    return SimpleNamespace(
        header=header(), width=8, height=6, seq=3, time_base=7, encoding=encoding, is_bigendian=False,
        events=struct.pack(f"<{len(words)}{letter}", *words),
    )  # fmt: skip


def event(x, y, t, polarity):
    return SimpleNamespace(x=x, y=y, ts=SimpleNamespace(sec=STAMP, nanosec=t), polarity=polarity)


def compressed(text, data):
    return SimpleNamespace(header=header(), format=text, data=bytes(data))


def camera_info():
    return SimpleNamespace(
        header=header(), height=48, width=64, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0, 0.0],
        k=[50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1], r=[1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        p=[50.0, 0, 31.5, 0, 0, 50, 23.5, 0, 0, 0, 1, 0], binning_x=0, binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )  # fmt: skip


def transform():
    return SimpleNamespace(
        translation=SimpleNamespace(x=1.0, y=2.0, z=3.0), rotation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0)
    )


PICTURE = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
DEPTH = np.arange(24, dtype=np.uint16).reshape(4, 6)
RVL = struct.pack("<iffII", 0, 0, 0, 2, 2) + bytes.fromhex("12a11100")[::-1]
EVT3_WORDS = [0x8001, 0x6002, 0x0003, 0x2004, 0x3002, 0x4FFF, 0x50FF]
MONO_WORDS = [5, 1 << 63 | 2 << 48 | 3 << 32]
LIBCAER_WORDS = [0x0001, 0x1002, 0x2003, 0x3004, 0x4002, 0x5FFF, 0x60FF]
IMAGE_FIELDS = {
    **HEADER_FIELDS, "height": SIZE, "width": SIZE, "step": SIZE, "encoding": ENCODINGS | TEXT, "is_bigendian": U8,
    "data": BYTES,
}  # fmt: skip
CLOUD_FIELDS = {
    **HEADER_FIELDS, "height": SIZE, "width": SIZE, "point_step": SIZE, "row_step": SIZE,
    "fields": st.lists(FIELD, max_size=6), "is_bigendian": st.booleans(), "data": BYTES,
}  # fmt: skip
PACKET_FIELDS = {
    **HEADER_FIELDS, "height": SIZE, "width": SIZE, "seq": U64 | SMALL, "time_base": U64, "is_bigendian": st.booleans(),
    "encoding": st.sampled_from(["evt3", "libcaer_cmp", "mono", "libcaer", ""]), "events": BYTES,
}  # fmt: skip
EVENT = st.builds(event, U16, U16, U32, st.booleans())
ARRAY_FIELDS = {**HEADER_FIELDS, "height": SIZE, "width": SIZE, "events": st.lists(EVENT, max_size=9)}
FILE_FIELDS = {**HEADER_FIELDS, "format": FORMATS | TEXT, "data": BYTES}
ROI = {f"roi.{name}": SIZE for name in ("x_offset", "y_offset", "height", "width")}
INFO_FIELDS = {
    **HEADER_FIELDS, **ROI, "height": SIZE, "width": SIZE, "binning_x": SIZE, "binning_y": SIZE,
    "distortion_model": st.sampled_from(["plumb_bob", "equidistant", "rational_polynomial", "fisheye"]) | TEXT,
    "d": st.lists(NUMBER, max_size=16), "k": st.lists(NUMBER, min_size=9, max_size=9),
    "r": st.lists(NUMBER, min_size=9, max_size=9), "p": st.lists(NUMBER, min_size=12, max_size=12),
}  # fmt: skip
TF_FIELDS = {
    **{f"translation.{axis}": NUMBER for axis in "xyz"},
    **{f"rotation.{axis}": NUMBER for axis in "xyzw"},
}


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


# How a good one is made, what of it may change, and where its bytes are.
CASES = {
    "image": (lambda: image("rgb8", PICTURE), IMAGE_FIELDS, "data"),
    "image 16 bits": (lambda: image("mono16", DEPTH), IMAGE_FIELDS, "data"),
    "image bayer": (lambda: image("bayer_rggb8", PICTURE[..., 0].copy()), IMAGE_FIELDS, "data"),
    "depth": (lambda: image("16UC1", DEPTH), IMAGE_FIELDS, "data"),
    "depth metres": (lambda: image("32FC1", DEPTH.astype("<f4")), IMAGE_FIELDS, "data"),
    "compressed": (lambda: compressed("png", png(PICTURE)), FILE_FIELDS, "data"),
    "compressed depth": (
        lambda: compressed("16UC1; png compressed 16UC1", png(DEPTH)), FILE_FIELDS, "data",
    ),
    "compressedDepth rvl": (
        lambda: compressed("16UC1; compressedDepth rvl", RVL), FILE_FIELDS, "data",
    ),
    "cloud": (lidar_cloud, CLOUD_FIELDS, "data"),
    "events cloud": (event_cloud, CLOUD_FIELDS, "data"),
    "events rendered": (lambda: image("bgr8", PICTURE), IMAGE_FIELDS, "data"),
    "events evt3": (lambda: packet("evt3", EVT3_WORDS, "H"), PACKET_FIELDS, "events"),
    "events libcaer_cmp": (lambda: packet("libcaer_cmp", LIBCAER_WORDS, "H"), PACKET_FIELDS, "events"),
    "events mono": (lambda: packet("mono", MONO_WORDS, "Q"), PACKET_FIELDS, "events"),
    "events array": (
        lambda: SimpleNamespace(header=header(), width=8, height=6, events=[event(1, 2, 3, True)] * 3),
        ARRAY_FIELDS, "",
    ),
    "camera info": (camera_info, INFO_FIELDS, ""),
    "transform": (transform, TF_FIELDS, ""),
}  # fmt: skip


def change(message, path, value):
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, name, value)


def drawn(data, case, *, everything):
    """A good message with up to four fields changed, or with all of them."""
    good, fields, place = CASES[case]
    message = good()
    chosen = fields if everything else data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=4, unique=True))
    for path in chosen:
        change(message, path, data.draw(fields[path]))
    if place and data.draw(st.booleans()):
        payload = bytearray(getattr(message, place))
        for _ in range(data.draw(st.integers(0, 3)) if payload else 0):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(U8)
        setattr(message, place, bytes(payload[: data.draw(st.integers(0, len(payload)))]))
    return message
