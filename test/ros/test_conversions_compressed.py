# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""CompressedImage to frames: what each format means, what is refused, and RVL against a decoder of single nibbles."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from any2seg_core.errors import Any2SegError, FrameError
from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import Fields, compressed_depth_frame, compressed_image_frame, header_fields, make
from any2seg_ros.conversions import image_files as limits
from any2seg_ros.conversions.rvl import decode_rvl

RGB = np.zeros((6, 8, 3), np.uint8)
RGB[..., 0], RGB[..., 1], RGB[:3, :, 2] = 250, np.arange(8) * 30, 120
GREY = (np.arange(48, dtype=np.uint8) * 5).reshape(6, 8)
DEPTH = np.array([[0, 1, 700], [65535, 40000, 2]], np.uint16)
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id="optical")


def file(pixels, kind=".png", *options):
    """A file as image_transport's publisher writes it: OpenCV takes blue first."""
    return cv2.imencode(kind, pixels[..., ::-1] if pixels.ndim == 3 else pixels, options)[1].tobytes()


def message(data, text="png"):
    return SimpleNamespace(header=HEADER, format=text, data=bytes(data))


def colour(data, text):
    return compressed_image_frame(message(data, text), Modality.RGB).data


def depth(data, text):
    return compressed_depth_frame(message(data, text)).data


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, *chunks):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return limits.PNG_SIGNATURE + head + b"".join(chunks) + chunk(b"IEND", b"")


def rvl_nibbles(pixels):
    """The numbers of RVL, nibble by nibble, as the paper tells it."""
    numbers, values, previous = [], [int(value) for value in pixels.reshape(-1)], 0
    while values:
        zeros = next((i for i, value in enumerate(values) if value), len(values))
        values = values[zeros:]
        count = next((i for i, value in enumerate(values) if not value), len(values))
        numbers += [zeros, count]
        for value in values[:count]:
            step = value - previous
            numbers.append(2 * step if step >= 0 else -2 * step - 1)
            previous = value
        values = values[count:]
    for number in numbers:
        digits = [number >> shift & 7 for shift in range(0, max(number.bit_length(), 1), 3)]
        yield from [8 | digit for digit in digits[:-1]] + digits[-1:]


def rvl(pixels):
    nibbles = list(rvl_nibbles(pixels))
    nibbles += [0] * (-len(nibbles) % 8)
    words = ["".join(f"{nibble:x}" for nibble in nibbles[i : i + 8]) for i in range(0, len(nibbles), 8)]
    return struct.pack("<II", pixels.shape[1], pixels.shape[0]) + b"".join(bytes.fromhex(w)[::-1] for w in words)


def compressed_depth(body, a=0.0, b=0.0):
    return struct.pack("<iff", 0, a, b) + body


@pytest.mark.parametrize("text", ["png", "rgb8; png compressed bgr8", "bgr8; png compressed bgr8", "bgr8;png", ""])
def test_colour_reads_as_the_file_says_whatever_the_encoding_was(text):
    np.testing.assert_array_equal(colour(file(RGB), text), RGB)


def test_files_written_with_red_and_blue_swapped_are_told_by_their_format():
    swapped = file(RGB[..., ::-1])
    np.testing.assert_array_equal(colour(swapped, "rgb8; png compressed rgb8"), RGB)
    deep = file(RGB[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(colour(deep, "rgb16; png compressed rgb16"), RGB)


def test_jpeg_colour_and_grey_are_near_the_image():
    smooth = cv2.resize(RGB, (64, 48))
    found = colour(file(smooth, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98), "rgb8; jpeg compressed bgr8")
    assert np.abs(found.astype(int) - smooth).mean() < 3
    grey = colour(file(GREY, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 98), "mono8; jpeg compressed mono8")
    assert np.abs(grey[..., 1].astype(int) - GREY).max() < 12


def test_deep_and_transparent_pictures_lose_only_depth_and_transparency():
    deep = file(RGB.astype(np.uint16) * 257)
    np.testing.assert_array_equal(colour(deep, "rgb16; png compressed bgr16"), RGB)
    with_alpha = cv2.imencode(".png", np.dstack([RGB[..., ::-1], GREY]))[1]
    np.testing.assert_array_equal(colour(with_alpha, "rgba8; png compressed bgra8"), RGB)
    np.testing.assert_array_equal(colour(file(GREY), "mono8; png compressed mono8")[..., 2], GREY)


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (16, 257)])
def test_a_grey_file_of_a_bayer_encoding_becomes_colour(bits, factor):
    pytest.importorskip("rosbags.image")
    mosaic = np.zeros((6, 6), np.uint8)
    mosaic[::2, ::2] = 255
    data = file(mosaic.astype(f"u{bits // 8}") * factor)
    found = colour(data, f"bayer_rggb{bits}; png compressed bayer_rggb{bits}")[2:4, 2:4].astype(int)
    assert found[..., 0].mean() > 100
    assert found[..., 2].max() == 0
    # Newer publishers make colour first; then the file has it already.
    np.testing.assert_array_equal(colour(file(RGB), "bayer_rggb8; png compressed bgr8"), RGB)


@pytest.mark.parametrize(
    "text", ["16UC1; png compressed 16UC1", "16UC1; compressedDepth png", "16UC1; compressedDepth"]
)
def test_counts_in_png_become_metres(text):
    data = file(DEPTH) if "Depth" not in text else compressed_depth(file(DEPTH))
    expected = np.where(DEPTH == 0, np.nan, DEPTH * 0.001)
    np.testing.assert_allclose(depth(data, text), expected, rtol=1e-6)
    frame = compressed_depth_frame(message(data, text), unit_m=0.01)
    np.testing.assert_allclose(frame.data, expected * 10, rtol=1e-6)
    assert (frame.stamp_ns, frame.frame_id, frame.size) == (1_000_000_002, "optical", (2, 3))


def test_a_png_without_the_header_is_read_where_publishers_leave_it_out():
    np.testing.assert_array_equal(
        depth(file(DEPTH), "16UC1; compressedDepth png"), depth(file(DEPTH), "16UC1; png compressed 16UC1")
    )


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_quantised_inverse_depth_is_undone(codec):
    """As the transport's defaults code it: a = 100 * 101, b = 1 - a / 10; 16 bits of a / depth + b, cut to whole."""
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    true = np.array([[0.5, 2.0], [9.0, 12.0]])
    counts = np.where(true < 10.0, a / true + b, 0).astype(np.uint16)
    body = file(counts) if codec == "png" else rvl(counts)
    found = depth(compressed_depth(body, a, b), f"32FC1; compressedDepth {codec}")
    assert np.isnan(found[1, 1])
    # One count at 9 m is 9 * 9 / 10100 = 8 mm.
    np.testing.assert_allclose(found[0], true[0], atol=5e-4)
    assert found[1, 0] == pytest.approx(9.0, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3) | st.integers(0, 65535)
    )
)
def test_rvl_gives_back_what_was_packed(pixels):
    data = rvl(pixels)
    np.testing.assert_array_equal(decode_rvl(np.frombuffer(data, np.uint8)), pixels)


def test_rvl_by_hand():
    """2 x 2 pixels 0, 5, 4, 0: one zero, two values of which the steps are 5 (10) and -1 (1), one zero, none."""
    data = struct.pack("<II", 2, 2) + bytes.fromhex("12a11100")[::-1]
    assert decode_rvl(np.frombuffer(data, np.uint8)).tolist() == [[0, 5], [4, 0]]


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_any_cut_is_noticed_before_a_decoder_fills_what_is_missing(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    data = file(cv2.resize(RGB, (32, 24)), kind)
    for length in range(0, len(data), 7):
        with pytest.raises(FrameError, match=r"cut off|expected a PNG|promise|damaged"):
            colour(data[:length], "x")


def test_any_cut_of_rvl_is_noticed():
    data = compressed_depth(rvl(np.arange(1, 401, dtype=np.uint16).reshape(20, 20)))
    for length in range(0, len(data) - 3, 5):
        with pytest.raises(FrameError, match=r"cut off|promise"):
            depth(data[:length], "16UC1; compressedDepth rvl")


RVL_DAMAGED = {
    "zeros past the image": ([1, 1, 0x50000000], "run past the image"),
    "values past the image": ([2, 1, 0x13000000], "run past the image"),
    "a number without end": ([2, 1, 0xFFFFFFFF, 0xFFFFFFFF], "run past the image"),
    "a number that does not end": ([2, 1, 0xFFFFFFFF], "cut off"),
    "half a word": ([2, 1], "cut off"),
}


@pytest.mark.parametrize("case", RVL_DAMAGED)
def test_damaged_rvl_is_refused(case):
    words, reason = RVL_DAMAGED[case]
    with pytest.raises(FrameError, match=reason):
        decode_rvl(np.frombuffer(np.array(words, "<u4").tobytes() + b"\x10\0", np.uint8))


def test_a_flipped_bit_of_a_png_is_noticed(monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    data = bytearray(file(DEPTH))
    data[len(data) // 2] ^= 1
    with pytest.raises(FrameError, match=r"damaged file"):
        depth(data, "16UC1; png compressed 16UC1")


LARGE = 2**16
BOMBS = {
    "png": (png_of(LARGE, LARGE, chunk(b"IDAT", zlib.compress(bytes(9)))), "png"),
    "jpeg": (b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(9) + b"\xff\xda\x00\x02\xff\xd9", "jpeg"),
    "nothing": (png_of(0, 10), "png"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_more_pixels_than_stated_are_refused_before_a_decoder_sees_them(bomb, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(
        FrameError, match=rf"expected 1 to {limits.MAX_BYTES} bytes and 1 to {limits.MAX_PIXELS} pixels"
    ):
        colour(*BOMBS[bomb])


def test_more_pixels_than_stated_are_refused_in_rvl_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(np, "zeros", lambda *_: pytest.fail("memory was taken"))
    data = np.frombuffer(struct.pack("<II", LARGE, LARGE) + bytes(8), np.uint8)
    with pytest.raises(FrameError, match=rf"promise {LARGE**2} pixels"):
        decode_rvl(data)


def test_more_bytes_than_stated_are_refused(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 20)
    with pytest.raises(FrameError, match=r"found \d+ bytes that promise"):
        colour(file(RGB), "png")


REFUSED = {
    "no image": (b"GIF89a", "png", r"begins with b'GIF8', expected a PNG or a JPEG"),
    "animated": (png_of(2, 2, chunk(b"acTL", bytes(8))), "png", r"it is animated"),
    "chunk first": (limits.PNG_SIGNATURE + chunk(b"IDAT", b"") * 2, "png", r"first chunk b'IDAT'"),
    "no marker": (b"\xff\xd8\xff\xe0\x00\x02abcdef", "jpeg", r"no marker at byte 6"),
    "no pixels": (png_of(2, 2), "png", r"does not decode|damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_with_what_to_do(case):
    data, text, reason = REFUSED[case]
    with pytest.raises(FrameError, match=reason):
        colour(data, text)


DEPTH_REFUSED = {
    "jpeg": (file(GREY, ".jpg"), "mono8; jpeg compressed mono8", r"found format 'mono8; jpeg"),
    "8 bits": (file(GREY), "16UC1; png compressed 16UC1", r"uint8 \(6, 8\), expected one channel of 16 bits"),
    "colour": (compressed_depth(file(RGB)), "16UC1; compressedDepth png", r"uint8 \(6, 8, 3\)"),
    "header only": (bytes(12), "16UC1; compressedDepth png", r"found 12 bytes, expected a header of 12"),
    "no quantisation": (compressed_depth(file(DEPTH)), "32FC1; compressedDepth png", r"a = 0.0, b = 0.0"),
    "NaN": (compressed_depth(file(DEPTH), np.nan, 1), "32FC1; compressedDepth png", r"a = nan"),
}


@pytest.mark.parametrize("case", DEPTH_REFUSED)
def test_other_depth_is_refused_with_what_to_do(case):
    data, text, reason = DEPTH_REFUSED[case]
    with pytest.raises(FrameError, match=reason):
        depth(data, text)


def test_a_message_of_another_type_is_refused():
    with pytest.raises(FrameError, match=r"without format"):
        compressed_image_frame(SimpleNamespace(header=HEADER, data=b""), Modality.RGB)


FORMATS = st.sampled_from(
    ["", "png", "jpeg", "16UC1; compressedDepth rvl", "16UC1; compressedDepth png", "32FC1; compressedDepth rvl",
     "32FC1; compressedDepth", "bayer_rggb8; jpeg compressed bayer_rggb8", "rgb8; jpeg compressed rgb8", ";;;", "rvl"]
)  # fmt: skip
STARTS = st.sampled_from([b"", limits.PNG_SIGNATURE, b"\xff\xd8\xff", bytes(12), struct.pack("<iffII", 0, 9, 1, 9, 9)])
WHOLE = [file(RGB), file(GREY, ".jpg"), compressed_depth(file(DEPTH), 9, 1), compressed_depth(rvl(DEPTH), 9, 1)]


@settings(max_examples=250, deadline=None)
@given(data=st.data())
def test_whatever_arrives_only_our_own_errors_leave(data):
    """Garbage, garbage behind a good start, and good files with a few bytes changed, under any format text."""
    if data.draw(st.booleans()):
        payload = data.draw(STARTS) + data.draw(st.binary(max_size=200))
    else:
        payload = bytearray(data.draw(st.sampled_from(WHOLE)))
        for _ in range(data.draw(st.integers(0, 4))):
            payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    text = data.draw(FORMATS)
    for read, kinds in ((compressed_depth_frame, "f"), (lambda m: compressed_image_frame(m, Modality.RGB), "u")):
        try:
            found = read(message(payload, text)).data
        except Any2SegError:
            continue
        assert found.dtype.kind == kinds
        assert found.shape[0] * found.shape[1] <= limits.MAX_PIXELS


def test_messages_of_rclpy_are_read():
    pytest.importorskip("sensor_msgs.msg")
    values = {"header": header_fields(5, "c"), "format": "png", "data": np.frombuffer(file(RGB), np.uint8)}
    made = make(Fields("sensor_msgs/msg/CompressedImage", values), compat.message_class)
    np.testing.assert_array_equal(compressed_image_frame(made, Modality.RGB).data, RGB)
