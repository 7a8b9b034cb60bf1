# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The overlay film, from the pictures that the replay left in a folder."""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from tqdm import tqdm

from any2seg_core.errors import Any2SegError, DependencyError
from any2seg_ros.conversions.image_files import decode_image_file
from any2seg_ros.replay.show.files import renamed_when_done

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_ros.replay.verdict import Verdict

SLOWEST_FPS, FASTEST_FPS = 1, 60
LONGEST_SIDE_PX: Final = 1920
_BT709: Final = 1


def frames_per_s(verdict: Verdict) -> int:
    """Rate at which the film runs as fast as the recordings did, a whole number."""
    outputs, seconds = (sum(getattr(bag, name) for bag in verdict.bags) for name in ("outputs", "duration_s"))
    return round(min(max(outputs / seconds if seconds > 0 else 10.0, SLOWEST_FPS), FASTEST_FPS))


def write_film(pictures: list[Path], path: Path, rate: int) -> int:
    """Write pictures as H.264 in an MP4 that browsers play, and return how many could be used.

    Args:
        pictures: JPEG or PNG files in order; the first readable one gives the size, later ones are fitted into it.
        path: the film; written only if a picture could be read.
        rate: pictures per second.

    Raises:
        DependencyError: the package av is missing.
    """
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        msg = f"film: found no package av ({error}), expected it for H.264; pip install av, or leave the film out"
        raise DependencyError(msg) from None
    shown = (pixels for pixels in map(_read, tqdm(pictures, "film", leave=False)) if pixels is not None)
    first = next(shown, None)
    if first is None:
        return 0
    size = _size(first)
    count = 0
    with (
        renamed_when_done(path) as unfinished,
        av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=rate, options={"crf": "25", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        for pixels in itertools.chain([first], shown):
            frame = av.VideoFrame.from_ndarray(_fitted(pixels, *size), format="bgr24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
            count += 1
        container.mux(stream.encode(None))
    return count


def _read(picture: Path) -> NDArray[np.uint8] | None:
    """Read (H, W, 3) uint8, blue first; None for a file that is damaged."""
    try:
        pixels = decode_image_file(np.fromfile(picture, np.uint8), picture.name)
    except (Any2SegError, OSError):
        return None
    return np.ascontiguousarray(pixels) if pixels.dtype == np.uint8 and pixels.ndim == 3 else None


def _size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Give width and height of the film: even, as the codec wants them, and no larger than it needs."""
    height, width = pixels.shape[:2]
    factor = min(1.0, LONGEST_SIDE_PX / max(height, width))
    return max(2, 2 * round(width * factor / 2)), max(2, 2 * round(height * factor / 2))


def _fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Scale a picture into (height, width, 3), keeping its shape, on black."""
    factor = min(width / pixels.shape[1], height / pixels.shape[0])
    size = min(width, max(1, round(pixels.shape[1] * factor))), min(height, max(1, round(pixels.shape[0] * factor)))
    canvas = np.zeros((height, width, 3), np.uint8)
    y, x = (height - size[1]) // 2, (width - size[0]) // 2
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(pixels[..., :3], size, interpolation=cv2.INTER_AREA)
    return canvas
