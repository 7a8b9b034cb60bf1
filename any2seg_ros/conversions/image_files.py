# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""PNG and JPEG bytes to pixels, looked over before any decoder sees them: whole, and no larger than stated.

A few hundred bytes can promise an image of gigabytes, and a decoder fills what a cut-off file lacks with grey.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.errors import FrameError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS: Final = 2**25
"""Most pixels of a compressed image: 8K video (7680 x 4320) passes. A pixel takes 8 bytes at most."""
MAX_BYTES: Final = 2**26
"""Most bytes of a compressed message."""
MAX_CHUNKS: Final = 2**16
"""Most chunks of a PNG file."""
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"
_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_ANIMATED: Final = b"acTL"


def decode_image_file(data: NDArray[np.uint8], what: str) -> NDArray[Any]:
    """Decode a PNG or JPEG file.

    Args:
        data: (N,) the file's bytes.
        what: what the file is, for the error's text.

    Returns:
        (H, W) or (H, W, C) uint8 or uint16, blue first, as the file stores it: no rotation, nothing scaled.

    Raises:
        FrameError: another kind of file, cut off, damaged, or larger than MAX_PIXELS or MAX_BYTES.
    """
    check_size(len(data), 1, what)
    file = data.tobytes()
    if file.startswith(PNG_SIGNATURE):
        width, height = _png_size(file, what)
    elif file.startswith(_JPEG_SIGNATURE):
        width, height = _jpeg_size(file, what)
    else:
        msg = (
            f"{what}: found data that begins with {file[:4]!r}, expected a PNG or a JPEG file; "
            "set the publisher's format to png or jpeg"
        )
        raise FrameError(msg)
    check_size(len(file), width * height, what)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _damaged(what, str(error).strip()) from None
    if pixels is None or pixels.shape[:2] != (height, width) or pixels.dtype not in (np.uint8, np.uint16):
        raise _damaged(what, "it does not decode")
    return np.asarray(pixels)


def check_size(size_bytes: int, pixels: int, what: str) -> None:
    """Check what a compressed message holds, or says that it holds, against the limits.

    Raises:
        FrameError: it is nothing, or too much.
    """
    if not (0 < size_bytes <= MAX_BYTES and 0 < pixels <= MAX_PIXELS):
        msg = (
            f"{what}: found {size_bytes} bytes that promise {pixels} pixels, expected 1 to {MAX_BYTES} bytes and 1 to "
            f"{MAX_PIXELS} pixels; check the publisher, or let it publish a smaller image"
        )
        raise FrameError(msg)


def _png_size(file: bytes, what: str) -> tuple[int, int]:
    """Walk all chunks of a PNG file (ISO/IEC 15948), each with its checksum; give width and height."""
    at, view, size = len(PNG_SIGNATURE), memoryview(file), None
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(view[at : at + 4], "big")
        kind, end = bytes(view[at + 4 : at + 8]), at + 12 + length
        if end > len(file):
            raise _cut_off(what, len(file), end)
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise _damaged(what, f"wrong checksum of chunk {kind!r}")
        if size is None:
            if kind != b"IHDR" or length != 13:
                raise _damaged(what, f"first chunk {kind!r}")
            size = int.from_bytes(view[at + 8 : at + 12], "big"), int.from_bytes(view[at + 12 : at + 16], "big")
        if kind == _ANIMATED:
            raise _damaged(what, "it is animated")
        if kind == b"IEND":
            return size
        at = end
    raise _damaged(what, f"more than {MAX_CHUNKS} chunks")


def _jpeg_size(file: bytes, what: str) -> tuple[int, int]:
    """Walk the segments of a JPEG file (ITU-T T.81, annex B) up to its first scan; give width and height."""
    at, size = len(_JPEG_SIGNATURE), None
    while at + 4 <= len(file):
        if file[at] != 0xFF:
            raise _damaged(what, f"no marker at byte {at}")
        marker, length = file[at + 1], int.from_bytes(file[at + 2 : at + 4], "big")
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _START_OF_FRAME and size is None:
            size = int.from_bytes(file[at + 7 : at + 9], "big"), int.from_bytes(file[at + 5 : at + 7], "big")
        at += 2 + length
        if marker == _START_OF_SCAN:
            break
    # What follows the first scan is entropy coded; the end marker cannot occur in it by chance.
    if size is None or file.find(_JPEG_END, at) < 0:
        raise _cut_off(what, len(file), max(at, len(file) + 1))
    return size


def _cut_off(what: str, found: int, needed: int) -> FrameError:
    return FrameError(
        f"{what}: found {found} bytes, expected at least {needed}: the file was cut off; check the network and the "
        "publisher"
    )


def _damaged(what: str, why: str) -> FrameError:
    return FrameError(f"{what}: found a damaged file ({why}), expected a whole one; check the network and publisher")
