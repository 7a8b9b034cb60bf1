# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Colour camera: exposure, noise, gamma, eight bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPOSURE: Final = 0.85
_SHOT_NOISE: Final = 0.01
_READ_NOISE: Final = 0.0025


def expose(
    radiance: NDArray[np.float32], *, exposure: float = EXPOSURE, noise: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """Turn linear light (H, W, 3) into an sRGB image (H, W, 3) uint8.

    Exposure and clipping act on linear light, before gamma; shot noise grows with the root of the signal.
    """
    signal = radiance * np.float32(exposure)
    if noise is not None:
        grain = noise.standard_normal(signal.shape, np.float32)
        signal = signal + grain * np.sqrt(_READ_NOISE**2 + _SHOT_NOISE**2 * np.maximum(signal, 0))
    signal = np.clip(signal, 0.0, 1.0)
    gamma = np.where(signal <= 0.0031308, 12.92 * signal, 1.055 * signal ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255.0 * gamma), np.uint8)


def luminance(radiance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh linear light (..., 3) into brightness (...) as Rec. 709 does."""
    red, green, blue = radiance[..., 0], radiance[..., 1], radiance[..., 2]
    return np.asarray(0.2126 * red + 0.7152 * green + 0.0722 * blue, np.float32)
