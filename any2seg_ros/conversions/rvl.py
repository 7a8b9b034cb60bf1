# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""RVL depth compression (Wilson, "Fast Lossless Depth Image Compression", ISS 2017), as compressedDepth carries it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.projection.kernels import compiled
from any2seg_ros.conversions.image_files import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIZE_BYTES: Final = 8
_WHAT: Final = "compressed depth rvl"
_CUT_OFF: Final = -1
_OVERFULL: Final = -2
_LONGEST_NUMBER: Final = 30
"""Bits of a number, three in each nibble; a longer one is damage."""


def decode_rvl(data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Decode width and height (little-endian uint32 each) and the words that follow.

    Args:
        data: (N,) bytes.

    Returns:
        (H, W) uint16.

    Raises:
        FrameError: cut off, damaged, or more pixels than image_files.MAX_PIXELS.
    """
    width, height = np.frombuffer(data[:_SIZE_BYTES].tobytes().ljust(_SIZE_BYTES, b"\0"), "<u4").tolist()
    check_size(len(data), width * height, _WHAT)
    body = data[_SIZE_BYTES:]
    words: NDArray[Any] = np.frombuffer(body[: len(body) // 4 * 4].tobytes(), "<u4").astype(np.uint32)
    pixels = np.zeros(width * height, np.uint16)
    found = _unpack(words, pixels)
    if found < 0:
        how = "its numbers run past the image" if found == _OVERFULL else "it was cut off"
        msg = (
            f"{_WHAT}: found {len(data)} bytes for {width}x{height} pixels: {how}, expected a whole image; check the "
            "network and the publisher"
        )
        raise FrameError(msg)
    return pixels.reshape(height, width)


@compiled
def _unpack(words: NDArray[np.uint32], pixels: NDArray[np.uint16]) -> int:
    """Fill pixels (zeroed); give the words read, or why there are too few or too many numbers.

    Numbers come in nibbles, top one of each word first, low bits first, three bits and a sign of more to come. They
    are, in turn: a count of zeros, a count of values, and for each value its zigzag difference to the last.
    """
    at, nibbles, word = 0, 0, np.uint32(0)
    filled, previous, left, counts = 0, 0, 0, 0
    while filled < len(pixels) or left > 0:
        number, shift, more = 0, 0, True
        while more:
            if nibbles == 0:
                if at == len(words):
                    return _CUT_OFF
                word, nibbles = words[at], 8
                at += 1
            nibbles -= 1
            nibble = (int(word) >> (4 * nibbles)) & 15
            if shift >= _LONGEST_NUMBER:
                return _OVERFULL
            number |= (nibble & 7) << shift
            shift += 3
            more = nibble > 7
        if left > 0:
            difference = -((number + 1) >> 1) if number & 1 else number >> 1
            previous = (previous + difference) & 65535
            pixels[filled] = previous
            filled += 1
            left -= 1
        elif number > len(pixels) - filled:
            return _OVERFULL
        elif counts == 0:
            filled += number
            counts = 1
        else:
            left = number
            counts = 0
    return at
