# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image to colour and depth frames: any row padding, either byte order, never past the buffer.

Depth follows REP 118 (32FC1 metres, 16UC1 raw units with 0 invalid) and REP 117 (NaN and Inf are no measurement).
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality, SensorFrame
from any2seg_ros import compat
from any2seg_ros.conversions.buffers import byte_view, require, stamp_ns, strided_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IMAGE_FIELDS: Final = ("header", "height", "width", "encoding", "is_bigendian", "step", "data")


class _Colour(NamedTuple):
    """Sample bytes, samples per pixel, and which of them are red, green and blue."""

    sample_bytes: int
    channels: int
    rgb: tuple[int, int, int]


_COLOURS: Final = {
    "rgb8": _Colour(1, 3, (0, 1, 2)),
    "bgr8": _Colour(1, 3, (2, 1, 0)),
    "rgba8": _Colour(1, 4, (0, 1, 2)),
    "bgra8": _Colour(1, 4, (2, 1, 0)),
    "mono8": _Colour(1, 1, (0, 0, 0)),
    "rgb16": _Colour(2, 3, (0, 1, 2)),
    "bgr16": _Colour(2, 3, (2, 1, 0)),
    "rgba16": _Colour(2, 4, (0, 1, 2)),
    "bgra16": _Colour(2, 4, (2, 1, 0)),
    "mono16": _Colour(2, 1, (0, 0, 0)),
    # OpenCV's type names carry no colour; its own order is blue first.
    "8UC1": _Colour(1, 1, (0, 0, 0)),
    "8UC3": _Colour(1, 3, (2, 1, 0)),
    "8UC4": _Colour(1, 4, (2, 1, 0)),
    "16UC1": _Colour(2, 1, (0, 0, 0)),
}


class _Mosaic(NamedTuple):
    """Sample bytes, bytes per pixel and rows per image row of an encoding that needs a colour library."""

    sample_bytes: int
    pixel_bytes: int
    rows: float


_MOSAICS: Final = {
    **{f"bayer_{pattern}8": _Mosaic(1, 1, 1) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{pattern}16": _Mosaic(2, 2, 1) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("yuv422", "uyvy", "yuyv", "yuv422_yuy2"), _Mosaic(1, 2, 1)),
    **dict.fromkeys(("nv12", "nv21"), _Mosaic(1, 1, 1.5)),
}

_DEPTHS: Final = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}


def image_frame(msg: Any, modality: Modality) -> SensorFrame:
    """Read a sensor_msgs/Image as an RGB frame, (H, W, 3) uint8, read-only where it shares the message's memory.

    Eight-bit colour and grey, 16-bit colour and grey (the upper byte is kept, so 65535 becomes 255), and the
    OpenCV names 8UC1, 8UC3 and 8UC4 (blue first) and 16UC1 are decoded here; only unpadded rgb8 is not copied.
    Bayer and YUV encodings go to cv_bridge, or else to rosbags-image, where one of them is installed.

    Raises:
        FrameError: no such encoding, an empty image, a step below the row's length, or too few bytes.
    """
    require(msg, _IMAGE_FIELDS, "image")
    encoding = str(msg.encoding)
    if encoding in _COLOURS:
        pixels = _decode_colour(msg, _COLOURS[encoding])
    elif encoding in _MOSAICS:
        pixels = _decode_mosaic(msg, _MOSAICS[encoding])
    else:
        msg_text = (
            f"image: found encoding {encoding!r}, expected one of {', '.join((*_COLOURS, *_MOSAICS))}; "
            "set the driver to one of these or convert the topic"
        )
        raise FrameError(msg_text)
    return SensorFrame(modality, stamp_ns(msg.header), str(msg.header.frame_id), pixels)


def depth_frame(msg: Any, *, unit_m: float = 0.001) -> SensorFrame:
    """Read a depth sensor_msgs/Image as (H, W) float32, metres along the optical axis, NaN where there is none.

    16UC1 and mono16 count units of unit_m metres and 0 is invalid; 32FC1 is metres, and NaN, Inf and values
    not above 0 are invalid (REP 118, REP 117).

    Raises:
        FrameError: no such encoding, an empty image, a step below the row's length, or too few bytes.
    """
    require(msg, _IMAGE_FIELDS, "depth image")
    encoding = str(msg.encoding)
    if encoding not in _DEPTHS:
        msg_text = (
            f"depth image: found encoding {encoding!r}, expected one of {', '.join(_DEPTHS)}; "
            "subscribe to the raw depth topic, not to a rendering of it"
        )
        raise FrameError(msg_text)
    dtype = _byte_order(msg, np.dtype(_DEPTHS[encoding]))
    raw = _samples(msg, int(msg.height), dtype, 1, "depth image")[..., 0]
    depth = raw.astype(np.float32)
    if dtype.kind == "u":
        depth *= np.float32(unit_m)
    return SensorFrame(Modality.DEPTH, stamp_ns(msg.header), str(msg.header.frame_id), metres(depth))


def metres(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mark in place what is no measurement with NaN: REP 117's Inf (nothing there) and -Inf (too near), and 0."""
    depth[~(np.isfinite(depth) & (depth > 0))] = math.nan
    return depth


def _byte_order(msg: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder(">" if msg.is_bigendian else "<")


def _samples(msg: Any, rows: int, dtype: np.dtype[Any], channels: int, what: str) -> NDArray[Any]:
    """View the samples as (rows, W, channels) in place."""
    width, step = int(msg.width), int(msg.step)
    if rows <= 0 or width <= 0:
        msg_text = f"{what}: found size {width}x{rows}, expected at least one pixel; check the driver"
        raise FrameError(msg_text)
    pixel_bytes = dtype.itemsize * channels
    if step < width * pixel_bytes:
        msg_text = (
            f"{what}: found step {step}, expected at least {width * pixel_bytes} bytes for {width} pixels of "
            f"{msg.encoding!r}; the publisher must set step to the length of a row"
        )
        raise FrameError(msg_text)
    return strided_view(byte_view(msg.data), (rows, width, channels), dtype, (step, pixel_bytes, dtype.itemsize), what)


def _decode_colour(msg: Any, colour: _Colour) -> NDArray[np.uint8]:
    dtype = _byte_order(msg, np.dtype(f"u{colour.sample_bytes}"))
    samples = _samples(msg, int(msg.height), dtype, colour.channels, "image")
    if dtype.itemsize == 1 and colour.channels == 3 and colour.rgb == (0, 1, 2):
        return np.ascontiguousarray(samples)
    pixels = np.empty((*samples.shape[:2], 3), np.uint8)
    for channel, source in enumerate(colour.rgb):
        pixels[..., channel] = samples[..., source] if dtype.itemsize == 1 else samples[..., source] >> 8
    return pixels


def _decode_mosaic(msg: Any, mosaic: _Mosaic) -> NDArray[np.uint8]:
    """Pack the rows tightly in native order, for the colour libraries differ in how they read step and order."""
    dtype = _byte_order(msg, np.dtype(f"u{mosaic.sample_bytes}"))
    channels = mosaic.pixel_bytes // mosaic.sample_bytes
    rows = int(int(msg.height) * mosaic.rows)
    packed = _samples(msg, rows, dtype, channels, "image").astype(dtype.newbyteorder("="))
    height, width = int(msg.height), int(msg.width)
    image = SimpleNamespace(
        header=msg.header, height=height, width=width, encoding=str(msg.encoding), is_bigendian=0,
        step=width * mosaic.pixel_bytes, data=packed.reshape(-1).view(np.uint8), rows=rows,
    )  # fmt: skip
    problems = []
    for name, convert in compat.colour_converters().items():
        try:
            pixels = np.asarray(convert(image))
        except Exception as error:  # noqa: BLE001  the libraries raise whatever OpenCV or NumPy raised
            problems.append(f"{name}: {error}")
            continue
        if pixels.shape == (height, width, 3) and pixels.dtype == np.uint8:
            return pixels
        problems.append(f"{name}: gave {pixels.dtype} {pixels.shape}")
    msg_text = (
        f"image: found encoding {msg.encoding!r} at {width}x{height}, which needs cv_bridge or rosbags-image "
        f"({'; '.join(problems) or 'none is installed'}); install one, or publish one of {', '.join(_COLOURS)}"
    )
    raise FrameError(msg_text)
