# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage of image_transport's compressed and compressedDepth to colour and depth frames.

What a message may hold is bounded before anything is decoded: see image_files.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality, SensorFrame
from any2seg_ros.conversions.buffers import byte_view, require, stamp_ns
from any2seg_ros.conversions.image_files import PNG_SIGNATURE, decode_image_file
from any2seg_ros.conversions.images import image_frame, metres
from any2seg_ros.conversions.rvl import decode_rvl

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELDS: Final = ("header", "format", "data")
_DEPTH_WHAT: Final = "compressed depth"
_COUNTS: Final = ("16UC1", "mono16", "")
_QUANTISED: Final = "32FC1"
_DEPTH_TRANSPORT: Final = "compressedDepth"
_DEPTH_HEADER: Final = np.dtype([("kind", "<i4"), ("a", "<f4"), ("b", "<f4")])
_PLAIN: Final = {1: "mono", 3: "bgr", 4: "bgra"}


def compressed_image_frame(msg: Any, modality: Modality) -> SensorFrame:
    """Read a CompressedImage of a JPEG or PNG file as an RGB frame, (H, W, 3) uint8.

    The format is image_transport's, "bgr8; jpeg compressed bgr8", or any other text: the file itself tells whether it
    is JPEG or PNG, how deep and in colour or not. Of the text two things count. A Bayer encoding turns a grey file
    into colour; and "compressed rgb" says that red and blue were swapped before the file was written.

    Raises:
        FrameError: not such a file, cut off, damaged or larger than image_files' limits.
    """
    require(msg, _FIELDS, "compressed image")
    pixels = decode_image_file(byte_view(msg.data), "compressed image")
    encoding, _, target = str(msg.format).partition(";")
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels not in _PLAIN:
        msg_text = f"compressed image: found {channels} channels, expected 1, 3 or 4; publish a colour or grey image"
        raise FrameError(msg_text)
    if channels == 3 and pixels.dtype == np.uint8:
        if "compressed rgb" not in target:
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
        return SensorFrame(modality, stamp_ns(msg.header), str(msg.header.frame_id), pixels)
    plain = f"{_PLAIN[channels]}{8 * pixels.dtype.itemsize}"
    if channels == 1 and encoding.startswith("bayer_"):
        plain = encoding.rstrip("0123456789") + plain.removeprefix("mono")
    elif "compressed rgb" in target:
        plain = plain.replace("bgr", "rgb")
    image = SimpleNamespace(
        header=msg.header, height=height, width=width, encoding=plain, is_bigendian=sys.byteorder == "big",
        step=pixels.strides[0], data=pixels.reshape(-1).view(np.uint8),
    )  # fmt: skip
    return image_frame(image, modality)


def compressed_depth_frame(msg: Any, *, unit_m: float = 0.001) -> SensorFrame:
    """Read a CompressedImage of depth as (H, W) float32, metres along the optical axis, NaN where there is none.

    With compressedDepth in the format (or no such file at the start of the data) 12 bytes precede a 16-bit PNG or RVL
    image: of 16UC1, counts of unit_m metres; of 32FC1, q with depth a / (q - b), a and b from those bytes, 0 invalid.
    Otherwise the data is a 16-bit PNG file of 16UC1, as the transport "compressed" gives it.

    Raises:
        FrameError: not such an image, cut off, damaged, lossy, or larger than image_files' limits.
    """
    require(msg, _FIELDS, _DEPTH_WHAT)
    data = byte_view(msg.data)
    encoding, _, transport = (part.strip() for part in str(msg.format).partition(";"))
    if _DEPTH_TRANSPORT in encoding or encoding in ("png", "rvl"):
        encoding, transport = "", encoding
    if encoding not in (*_COUNTS, _QUANTISED):
        msg_text = (
            f"{_DEPTH_WHAT}: found format {msg.format!r}, expected 16UC1 or 32FC1 before the semicolon; subscribe to "
            "the compressedDepth topic of the raw depth"
        )
        raise FrameError(msg_text)
    bare = data[: len(PNG_SIGNATURE)].tobytes() == PNG_SIGNATURE or _DEPTH_TRANSPORT not in transport
    header = np.zeros(1, _DEPTH_HEADER) if bare else _header(data)
    body = data if bare else data[_DEPTH_HEADER.itemsize :]
    raw = decode_rvl(body) if transport.endswith("rvl") else _sixteen_bits(decode_image_file(body, _DEPTH_WHAT))
    depth = _dequantised(raw, header) if encoding == _QUANTISED else raw.astype(np.float32) * np.float32(unit_m)
    return SensorFrame(Modality.DEPTH, stamp_ns(msg.header), str(msg.header.frame_id), metres(depth))


def _header(data: NDArray[np.uint8]) -> NDArray[Any]:
    if len(data) <= _DEPTH_HEADER.itemsize:
        msg_text = (
            f"{_DEPTH_WHAT}: found {len(data)} bytes, expected a header of {_DEPTH_HEADER.itemsize} and an image; "
            "the message was cut off"
        )
        raise FrameError(msg_text)
    return np.frombuffer(data[: _DEPTH_HEADER.itemsize].tobytes(), _DEPTH_HEADER)


def _sixteen_bits(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    if pixels.ndim != 2 or pixels.dtype != np.uint16:
        msg_text = (
            f"{_DEPTH_WHAT}: found {pixels.dtype} {pixels.shape}, expected one channel of 16 bits; JPEG and 8 bits "
            "spoil depth: publish compressedDepth, or compressed with format png"
        )
        raise FrameError(msg_text)
    return pixels


def _dequantised(raw: NDArray[np.uint16], header: NDArray[Any]) -> NDArray[np.float32]:
    a, b = header["a"][0], header["b"][0]
    if not (np.isfinite(a) and np.isfinite(b) and a > 0):
        msg_text = (
            f"{_DEPTH_WHAT}: found quantisation a = {a}, b = {b}, expected finite numbers and a above 0; the publisher "
            "must fill the 12-byte header"
        )
        raise FrameError(msg_text)
    with np.errstate(divide="ignore", over="ignore"):
        depth: NDArray[np.float32] = a / (raw.astype(np.float32) - b)
    depth[raw == 0] = np.nan
    return depth
