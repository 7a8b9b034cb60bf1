# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Colour camera: exposure, vignetting, noise, gamma, eight bits, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_sim.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPOSURE: Final = 0.85
_SHOT_NOISE: Final = 0.01
_READ_NOISE: Final = 0.0025
_GAMMA_STEPS: Final = 8192


def expose(
    radiance: NDArray[np.float32],
    *,
    exposure: float = EXPOSURE,
    gain: float = 1.0,
    vignetting: float = 0.0,
    noise: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Turn linear light (H, W, 3) into an sRGB image (H, W, 3) uint8.

    Exposure, noise and clipping act on linear light, before gamma.

    Args:
        radiance: linear light; 1 is white at an exposure of 1.
        exposure: factor on it, gain included.
        gain: share of the exposure that is amplified: shot noise grows with its root, read noise with gain itself.
        vignetting: share of light that is lost in the corners, 0 to 1; it grows with the square of the radius.
        noise: draws the noise, which is left out without it.

    Raises:
        ConfigError: exposure or gain is not positive, or vignetting is not a share.
    """
    if not (exposure > 0 and gain > 0 and 0 <= vignetting <= 1):
        msg = (
            f"camera: found exposure {exposure:g}, gain {gain:g}, vignetting {vignetting:g}, "
            "expected positive ones and a share from 0 to 1; correct the settings"
        )
        raise ConfigError(msg)
    signal = radiance * np.float32(exposure)
    if vignetting > 0:
        signal *= (1 - np.float32(vignetting) * _radius_squared(*radiance.shape[:2]))[..., None]
    if noise is not None:
        grain = noise.standard_normal(signal.shape, np.float32)
        read, shot = np.float32((_READ_NOISE * gain) ** 2), np.float32(_SHOT_NOISE**2 * gain)
        signal += grain * np.sqrt(read + shot * np.maximum(signal, 0))
    out = np.empty(signal.shape, np.uint8)
    _encode(signal.reshape(-1), _srgb_bounds(), out.reshape(-1))
    return out


def luminance(radiance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh linear light (..., 3) into brightness (...) as Rec. 709 does."""
    red, green, blue = radiance[..., 0], radiance[..., 1], radiance[..., 2]
    return np.asarray(0.2126 * red + 0.7152 * green + 0.0722 * blue, np.float32)


def _radius_squared(height: int, width: int) -> NDArray[np.float32]:
    """Squared distance (H, W) from the middle of the image, 1 in the corners."""
    y, x = np.mgrid[0:height, 0:width]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    square = (y - middle_y) ** 2 + (x - middle_x) ** 2
    return np.asarray(square / max(middle_y**2 + middle_x**2, 1e-9), np.float32)


def _srgb_bounds() -> NDArray[np.float32]:
    """Linear values (255,) at which an sRGB code gives way to the next (IEC 61966-2-1), halves rounded up."""
    code = (np.arange(255) + 0.5) / 255.0
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


@compiled
def _encode(signal: NDArray[np.float32], bounds: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Find the code of every value: a first guess from a table, then a step or two."""
    guess = np.empty(_GAMMA_STEPS + 1, np.uint8)
    code = 0
    for step in range(_GAMMA_STEPS + 1):
        while code < 255 and bounds[code] <= step / _GAMMA_STEPS:
            code += 1
        guess[step] = code
    for i in range(len(signal)):
        value = signal[i]
        if not value > 0.0:
            out[i] = 0
            continue
        code = int(guess[int(min(value, np.float32(1.0)) * _GAMMA_STEPS)])
        while code < 255 and bounds[code] <= value:
            code += 1
        out[i] = code
