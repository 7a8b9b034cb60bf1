# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Images and depth, from rclpy and rosbags messages, against a decoder that reads one sample at a time."""

from __future__ import annotations

import array
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import Fields, depth_frame, header_fields, image_frame, make, stamp_fields, stamp_ns

# Code of a sample in struct's letters, samples per pixel, places of red, green and blue.
LAYOUTS = {
    "rgb8": ("B", 3, (0, 1, 2)), "bgr8": ("B", 3, (2, 1, 0)), "rgba8": ("B", 4, (0, 1, 2)),
    "bgra8": ("B", 4, (2, 1, 0)), "mono8": ("B", 1, (0, 0, 0)), "8UC1": ("B", 1, (0, 0, 0)),
    "8UC3": ("B", 3, (2, 1, 0)), "8UC4": ("B", 4, (2, 1, 0)), "mono16": ("H", 1, (0, 0, 0)),
    "16UC1": ("H", 1, (0, 0, 0)), "rgb16": ("H", 3, (0, 1, 2)), "bgr16": ("H", 3, (2, 1, 0)),
    "rgba16": ("H", 4, (0, 1, 2)), "bgra16": ("H", 4, (2, 1, 0)),
}  # fmt: skip


@pytest.fixture(scope="module", params=["rclpy", "rosbags"])
def types(request):
    if request.param == "rclpy":
        pytest.importorskip("sensor_msgs.msg")
        return compat.message_class
    typestore = get_typestore(Stores.LATEST)
    return lambda name: typestore.types[name]


def image_message(types, data, *, height, width, encoding, step, big_endian=0):
    values = {
        "header": header_fields(1_700_000_000_123_456_789, "camera_optical"),
        "height": height,
        "width": width,
        "encoding": encoding,
        "is_bigendian": big_endian,
        "step": step,
        "data": np.frombuffer(bytes(data), np.uint8),
    }
    return make(Fields("sensor_msgs/msg/Image", values), types)


def bare_image(data, **values):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=1), frame_id="c")
    return SimpleNamespace(header=header, data=data, **{"is_bigendian": 0, **values})


def samples_of(data, size, letter, channels, *, step, big_endian):
    """Read every sample by its byte offset: (H, W, channels) nested lists."""
    height, width = size
    size = struct.calcsize(letter)
    order = ">" if big_endian else "<"

    def sample(row, column, channel):
        return struct.unpack_from(order + letter, data, row * step + (column * channels + channel) * size)[0]

    return [[[sample(r, c, k) for k in range(channels)] for c in range(width)] for r in range(height)]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_every_layout_padding_and_byte_order_reads_as_the_slow_reference(types, data):
    encoding = data.draw(st.sampled_from(sorted(LAYOUTS)))
    letter, channels, rgb = LAYOUTS[encoding]
    height, width, padding = (data.draw(st.integers(low, 5)) for low in (1, 1, 0))
    big_endian = data.draw(st.integers(0, 1))
    step = width * channels * struct.calcsize(letter) + padding
    raw = data.draw(st.binary(min_size=height * step, max_size=height * step))
    frame = image_frame(
        image_message(types, raw, height=height, width=width, encoding=encoding, step=step, big_endian=big_endian),
        Modality.RGB,
    )
    shift = 8 if letter == "H" else 0
    rows = samples_of(raw, (height, width), letter, channels, step=step, big_endian=big_endian)
    expected = [[[pixel[k] >> shift for k in rgb] for pixel in row] for row in rows]
    assert frame.data.tolist() == expected
    assert (frame.data.dtype, frame.data.shape, frame.size) == (np.uint8, (height, width, 3), (height, width))
    assert (frame.stamp_ns, frame.end_ns, frame.frame_id) == (1_700_000_000_123_456_789,) * 2 + ("camera_optical",)
    assert frame.modality is Modality.RGB


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_depth_is_metres_with_nan_for_every_invalid_value(types, data):
    encoding, letter = data.draw(st.sampled_from([("16UC1", "H"), ("mono16", "H"), ("32FC1", "f")]))
    height, width, padding = (data.draw(st.integers(low, 4)) for low in (1, 1, 0))
    big_endian = data.draw(st.booleans())
    size = struct.calcsize(letter)
    special = {"H": st.sampled_from([0, 1, 65535]), "f": st.sampled_from([0.0, -1.5, np.nan, np.inf, -np.inf, 2.5])}
    numbers = {"H": st.integers(0, 65535), "f": st.floats(width=32)}[letter] | special[letter]
    values = data.draw(st.lists(numbers, min_size=height * width, max_size=height * width))
    order = ">" if big_endian else "<"
    rows = [values[row * width : (row + 1) * width] for row in range(height)]
    raw = b"".join(struct.pack(f"{order}{width}{letter}", *row) + b"\x55" * padding for row in rows)
    step = width * size + padding
    frame = depth_frame(
        image_message(types, raw, height=height, width=width, encoding=encoding, step=step, big_endian=big_endian),
        unit_m=0.0005,
    )
    unit = 0.0005 if letter == "H" else 1.0
    valid = [0 < value < np.inf for value in values]
    expected = np.array([v * unit if ok else np.nan for v, ok in zip(values, valid, strict=True)], np.float32)
    assert frame.data.dtype == np.float32
    np.testing.assert_allclose(frame.data.reshape(-1), expected, rtol=1e-6)
    assert frame.modality is Modality.DEPTH


def test_unpadded_rgb8_is_a_read_only_view_and_everything_else_a_copy(types):
    raw = bytes(range(12))
    message = image_message(types, raw, height=2, width=2, encoding="rgb8", step=6)
    view = image_frame(message, Modality.RGB).data
    assert np.shares_memory(view, np.frombuffer(message.data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 9
    padded = image_message(types, raw + bytes(4), height=2, width=2, encoding="rgb8", step=8)
    bgr = image_message(types, raw, height=2, width=2, encoding="bgr8", step=6)
    for other in (padded, bgr):
        assert not np.shares_memory(image_frame(other, Modality.RGB).data, np.frombuffer(other.data, np.uint8))


def test_the_depth_of_a_message_is_not_changed_in_place(types):
    message = image_message(types, struct.pack("<2f", -1, 2), height=1, width=2, encoding="32FC1", step=8)
    depth_frame(message)
    assert bytes(message.data) == struct.pack("<2f", -1, 2)


@pytest.mark.parametrize(
    "container", [bytes, bytearray, list, tuple, memoryview, np.array, lambda b: array.array("B", b)]
)
def test_any_container_of_bytes_will_do(container):
    data = np.frombuffer(bytes([1, 2, 3]), np.uint8) if container is np.array else container(bytes([1, 2, 3]))
    message = bare_image(data, height=1, width=1, encoding="rgb8", step=3)
    assert image_frame(message, Modality.RGB).data.tolist() == [[[1, 2, 3]]]


def test_missing_padding_after_the_last_row_is_tolerated(types):
    raw = bytes([1, 2, 3, 0, 4, 5, 6])
    frame = image_frame(image_message(types, raw, height=2, width=1, encoding="rgb8", step=4), Modality.RGB)
    assert frame.data.tolist() == [[[1, 2, 3]], [[4, 5, 6]]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoding": "rgb9"}, r"found encoding 'rgb9', expected one of rgb8, bgr8.*nv12.*convert the topic"),
        ({"height": 0}, r"found size 4x0, expected at least one pixel"),
        ({"width": 0}, r"found size 0x2, expected at least one pixel"),
        ({"step": 11}, r"found step 11, expected at least 12 bytes for 4 pixels of 'rgb8'; the publisher"),
        ({"data": bytes(23)}, r"found 23 bytes, expected at least 24 .*cut off"),
        ({"data": None}, r"found NoneType, expected bytes"),
        ({"data": [1, 300]}, r"found list, expected bytes"),
        ({"data": np.array([object()])}, r"found ndarray, expected bytes"),
        ({"header": None}, r"found NoneType, expected a std_msgs/Header"),
    ],
)
def test_what_an_image_cannot_be(changes, message):
    good = {"height": 2, "width": 4, "encoding": "rgb8", "step": 12, "data": bytes(24)}
    bad = bare_image(**{**good, **{name: value for name, value in changes.items() if name != "header"}})
    bad.header = changes.get("header", bad.header)
    with pytest.raises(FrameError, match=message):
        image_frame(bad, Modality.RGB)


def test_another_type_of_message_is_named(types):
    values = {"format": "jpeg", "data": np.zeros(1, np.uint8), "header": header_fields(1, "c")}
    compressed = make(Fields("sensor_msgs/msg/CompressedImage", values), types)
    with pytest.raises(FrameError, match=r"CompressedImage without height, width, encoding.*check the topic's type"):
        image_frame(compressed, Modality.RGB)


def test_a_depth_rendering_is_no_depth():
    message = bare_image(bytes(3), height=1, width=1, encoding="bgr8", step=3)
    with pytest.raises(FrameError, match=r"found encoding 'bgr8', expected one of 16UC1, mono16, 32FC1; subscribe"):
        depth_frame(message)


MESSAGES = st.builds(
    bare_image,
    st.binary(max_size=64),
    encoding=st.sampled_from([*LAYOUTS, "32FC1", "bayer_rggb8", "bayer_gbrg16", "yuv422", "nv12", ""]) | st.text(),
    height=st.integers(0, 2**32 - 1) | st.integers(0, 6),
    width=st.integers(0, 2**32 - 1) | st.integers(0, 6),
    step=st.integers(0, 2**32 - 1) | st.integers(0, 24),
    is_bigendian=st.integers(0, 255),
)


@pytest.mark.parametrize("convert", [lambda message: image_frame(message, Modality.RGB), depth_frame])
@given(message=MESSAGES)
@settings(max_examples=150, deadline=None)
def test_no_message_breaks_the_conversion(convert, message):
    try:
        frame = convert(message)
    except FrameError:
        return
    assert frame.size == (message.height, message.width)
    assert len(message.data) >= message.height * message.width


def test_bayer_and_yuv_come_through_the_colour_libraries(types):
    pytest.importorskip("rosbags.image")
    flat = bytes([90, 0, 90, 0] * 8)
    bayer = image_message(types, flat, height=4, width=4, encoding="bayer_rggb8", step=8)
    assert image_frame(bayer, Modality.RGB).data.shape == (4, 4, 3)
    # U and V at 128 are grey: red, green and blue must agree, whatever the padding of the rows is.
    grey = bytes([128, 200, 128, 200, 7, 7]) * 2
    pixels = image_frame(image_message(types, grey, height=2, width=2, encoding="uyvy", step=6), Modality.RGB).data
    assert (pixels == pixels[..., :1]).all()
    assert pixels.shape == (2, 2, 3)
    assert 190 <= pixels.min() <= pixels.max() <= 240
    planes = bytes([50, 50, 200, 200]) + bytes([128, 128])
    nv12 = image_frame(image_message(types, planes, height=2, width=2, encoding="nv12", step=2), Modality.RGB).data
    assert nv12.shape == (2, 2, 3)
    assert nv12[1].min() > nv12[0].max()


def test_a_red_bayer_filter_reads_red_not_blue(types):
    pytest.importorskip("rosbags.image")
    red_only = np.zeros((6, 6), np.uint8)
    red_only[::2, ::2] = 255
    message = image_message(types, red_only.tobytes(), height=6, width=6, encoding="bayer_rggb8", step=6)
    pixels = image_frame(message, Modality.RGB).data[2:4, 2:4].astype(int)
    assert pixels[..., 0].mean() > 100
    assert pixels[..., 2].max() == 0
    wide = (red_only.astype(">u2") * 257).tobytes()
    message = image_message(types, wide, height=6, width=6, encoding="bayer_rggb16", step=12, big_endian=1)
    np.testing.assert_allclose(image_frame(message, Modality.RGB).data[2:4, 2:4].astype(int), pixels, atol=1)


def test_without_a_colour_library_the_error_says_what_to_install(monkeypatch):
    message = bare_image(bytes(16), height=4, width=4, encoding="bayer_rggb8", step=4)
    monkeypatch.setattr(compat, "colour_converters", dict)
    with pytest.raises(FrameError, match=r"'bayer_rggb8' at 4x4, which needs cv_bridge or rosbags-image \(none is"):
        image_frame(message, Modality.RGB)


def test_a_colour_library_that_fails_is_passed_over_and_named(monkeypatch):
    message = bare_image(bytes(16), height=4, width=4, encoding="bayer_rggb8", step=4)

    def broken(image):
        raise RuntimeError("no such mosaic")

    answers = {"one": broken, "two": lambda image: np.zeros((4, 4), np.uint8)}
    monkeypatch.setattr(compat, "colour_converters", lambda: answers)
    with pytest.raises(FrameError, match=r"one: no such mosaic; two: gave uint8 \(4, 4\)"):
        image_frame(message, Modality.RGB)
    answers["three"] = lambda image: np.full((image.height, image.width, 3), 7, np.uint8)
    assert (image_frame(message, Modality.RGB).data == 7).all()


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
def test_stamps_survive_the_way_through_a_message(stamp):
    sec, nanosec = stamp_fields(stamp)
    assert 0 <= nanosec < 10**9
    assert stamp_ns(SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))) == stamp


def test_a_stamp_that_does_not_fit_is_refused():
    with pytest.raises(FrameError, match=r"found 2147483648000000000 ns, expected seconds that fit 32 bits"):
        stamp_fields(2**31 * 10**9)


def test_realsense_depth_and_colour(shared_data):
    bag = shared_data / "realsense_rgbd" / "single_depth_color_640x480.bag"
    with AnyReader([bag]) as reader:
        images = {}
        for connection, _, raw in reader.messages():
            if connection.topic.endswith("image/data") and connection.topic not in images:
                images[connection.topic] = reader.deserialize(raw, connection.msgtype)
    depth = depth_frame(images["/device_0/sensor_0/Depth_0/image/data"])
    assert depth.size == (480, 640)
    np.testing.assert_allclose(np.nanpercentile(depth.data, [1, 99]), [0.352, 2.304], atol=1e-6)
    assert np.isnan(depth.data).mean() == pytest.approx(0.0673, abs=1e-4)
    colour = image_frame(images["/device_0/sensor_1/Color_0/image/data"], Modality.RGB)
    assert colour.data.shape == (480, 640, 3)
    assert colour.data[0, 0].tolist() == [172, 150, 115]
    assert colour.stamp_ns == 360_713_523_000
