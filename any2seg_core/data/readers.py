# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Files become arrays: 8-bit pictures with three channels, depth, labels. Every failure names the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import UNLABELLED, CameraModel
from any2seg_core.projection.depth import HHA, depth_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.config import PreprocessConfig

CARLA_FAR_M: Final = 1000.0
"""Depth that CARLA's 24-bit coding gives to its largest value."""


def read_png(path: Path) -> NDArray[Any]:
    """Decode an image as it is stored: (H, W), or (H, W, 3) in the order red, green, blue; alpha is dropped.

    Raises:
        FrameError: the file is missing or cannot be decoded.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except (OSError, cv2.error) as error:
        msg = f"{path}: found a file that cannot be read ({error}), expected an image; restore it or skip_corrupt"
        raise FrameError(msg) from error
    if image is None or image.size == 0:
        msg = f"{path}: found {data.size} bytes that are no whole image, expected a PNG; restore it or skip_corrupt"
        raise FrameError(msg)
    if image.ndim == 2:
        return np.asarray(image)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB))


def read_npy(path: Path) -> NDArray[np.float32]:
    """Read an array (H, W) of numbers.

    Raises:
        FrameError: the file is missing, no numpy array, or not of that kind.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path}: found a file that cannot be read ({error}), expected a numpy array; restore it or skip_corrupt"
        raise FrameError(msg) from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        msg = f"{path}: found {found}, expected floating-point numbers (H, W); restore it"
        raise FrameError(msg)
    return np.asarray(np.nan_to_num(np.asarray(values, np.float32)), np.float32)


def read_picture(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read a grey or colour image of 8 or 16 bits as (H, W, 3) uint8; grey is repeated, 16 bits are rounded to 8.

    Raises:
        FrameError: the file cannot be used.
    """
    image = read_png(paths[0])
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    if image.dtype != np.uint8:
        msg = f"{paths[0]}: found {image.dtype}, expected an image of 8 or 16 bits; convert it"
        raise FrameError(msg)
    return _three(np.asarray(image, np.uint8))


def read_angle(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read the angle of linear polarisation from its sine and cosine in [-1, 1] as (sine, cosine, sine).

    Returns:
        (H, W, 3) uint8, (value + 1) / 2 of full scale, as a picture on the robot holds it.

    Raises:
        FrameError: a file cannot be used or the two differ in size.
    """
    sine, cosine = (read_npy(path) for path in paths)
    if sine.shape != cosine.shape:
        msg = f"{paths[0]}: found {sine.shape} and a cosine of {cosine.shape}, expected one size; restore the files"
        raise FrameError(msg)
    return _bytes(np.stack([sine, cosine, sine], axis=2) / 2 + np.float32(0.5))


def read_share(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """Read a number in [0, 1], such as the degree of linear polarisation, repeated to (H, W, 3) uint8.

    Raises:
        FrameError: the file cannot be used.
    """
    return _three(_bytes(read_npy(paths[0])))


READERS: Final = {"picture": read_picture, "angle": read_angle, "share": read_share}
"""Readers of everything but depth, by the name that a Source gives."""


def read_labels(path: Path, label_ids: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    """Read labels (H, W) uint8, 255 where unlabelled, from the first channel of an 8-bit image.

    Raises:
        FrameError: the file cannot be used, or holds an id that the class table lacks.
    """
    stored = read_png(path)
    if stored.dtype != np.uint8:
        msg = f"{path}: found labels of {stored.dtype}, expected 8 bits; is this the right data set?"
        raise FrameError(msg)
    first = np.ascontiguousarray(stored if stored.ndim == 2 else stored[:, :, 0])
    labels = np.asarray(cv2.LUT(first, label_ids), np.uint8)
    wrong = (labels >= classes) & (labels != UNLABELLED)
    if wrong.any():
        ids = np.unique(labels[wrong])[:5].tolist()
        msg = (
            f"{path}: found label ids {ids}, expected 0 to {classes - 1} or {UNLABELLED}; "
            "the files belong to another class table, check data.dataset"
        )
        raise FrameError(msg)
    return labels


class DepthReader:
    """Reads metric depth and codes it as the robot's node does.

    One channel of 16 bits counts unit_m; three channels of 8 bits hold CARLA's coding, red + 256 green + 65536 blue,
    of 0 to 1000 m (https://carla.readthedocs.io/en/latest/ref_sensors/#depth-camera).

    Args:
        preprocess: encoding and bounds.
        unit_m: metres per count; 0 counts mean not measured.
        limit_m: depth from here on means that nothing was hit.
        camera: intrinsics of the files, which only the encoding "hha" needs.
    """

    def __init__(
        self, preprocess: PreprocessConfig, *, unit_m: float, limit_m: float, camera: CameraModel | None = None
    ) -> None:
        self._preprocess, self._unit_m, self._limit_m, self._camera = preprocess, unit_m, limit_m, camera
        self._table: NDArray[np.float32] | None = None

    def __call__(self, path: Path) -> NDArray[np.float32]:
        """Read one file.

        Returns:
            (H, W) float32 code in [0, 1], alike in all three channels; (H, W, 3) for "hha". 0 is not measured.

        Raises:
            FrameError: the file cannot be used.
            CalibrationError: "hha" without intrinsics of the file's size.
        """
        image = read_png(path)
        if image.dtype == np.uint16 and image.ndim == 2:
            if self._preprocess.depth_encoding == HHA:
                return self._coded(self._metres(image))
            if self._table is None:
                every = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
                self._table = self._coded(self._metres(every)).reshape(-1)
            return np.asarray(self._table[image], np.float32)
        if image.dtype == np.uint8 and image.ndim == 3:
            counts = image.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
            return self._coded(self._limited((counts * (CARLA_FAR_M / (2**24 - 1))).astype(np.float32)))
        msg = (
            f"{path}: found depth of {image.dtype} {image.shape}, expected one channel of 16 bits or CARLA's three "
            "of 8; choose data.depth_source hha, or convert the files"
        )
        raise FrameError(msg)

    def _metres(self, counts: NDArray[np.uint16]) -> NDArray[np.float32]:
        return self._limited((counts * self._unit_m).astype(np.float32))

    def _limited(self, metres: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(metres < self._limit_m, metres, np.float32(np.nan))

    def _coded(self, metres: NDArray[np.float32]) -> NDArray[np.float32]:
        config = self._preprocess
        image = depth_image(
            metres,
            encoding=config.depth_encoding,
            min_depth_m=config.depth_min_m,
            max_depth_m=config.depth_max_m,
            camera=self._camera,
        )
        return image if config.depth_encoding == HHA else np.ascontiguousarray(image[:, :, 0])


def _three(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat a single channel; three stay as they are."""
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB) if grey.ndim == 2 else grey, np.uint8)


def _bytes(share: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round numbers of [0, 1] to 8 bits; what lies outside is clipped."""
    return np.asarray(np.rint(np.clip(share, 0, 1) * np.float32(255)), np.uint8)
