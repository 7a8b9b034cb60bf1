# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which device torch runs on, and what its errors mean."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch

from any2seg_core.errors import Any2SegError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OUT_OF_MEMORY: Final = ("out of memory", "not enough memory", "can't allocate memory", "Failed to allocate memory")


_MIB: Final = 1 << 20


class DeviceMemoryError(ConfigError):
    """The memory of the device does not suffice for what was asked."""


def choose_device(name: str) -> torch.device:
    """Find the device that a setting names: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ConfigError: there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        msg = f"device: found {name!r}, expected auto, cpu, cuda or cuda:N"
        raise ConfigError(msg) from None
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type not in ("cpu", "cuda"):
        msg = f"device: found {name!r}, expected auto, cpu, cuda or cuda:N"
        raise ConfigError(msg)
    if device.type == "cuda" and (device.index or 0) >= count:
        msg = f"device: found {name!r} but torch sees {count} CUDA device(s); use auto or cpu, or check the driver"
        raise ConfigError(msg)
    return device


@contextmanager
def torch_errors_as_ours() -> Iterator[None]:
    """Turn what torch raises into errors of ours that say what to do."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
            msg = f"segmenter: memory does not suffice ({error}); lower short_side_px or use another device"
            raise DeviceMemoryError(msg) from error
        msg = f"segmenter: torch failed ({error}); report this with the sizes and devices in use"
        raise Any2SegError(msg) from error


def memory_use(device: torch.device) -> dict[str, str]:
    """Tell how much memory of a GPU torch holds now, held at most, and is left on it, in MiB; nothing of a CPU."""
    if device.type != "cuda":
        return {}
    figures = {
        "gpu_memory_mib": torch.cuda.memory_allocated(device),
        "gpu_memory_peak_mib": torch.cuda.max_memory_allocated(device),
        "gpu_memory_free_mib": torch.cuda.mem_get_info(device)[0],
    }
    return {name: f"{value / _MIB:.0f}" for name, value in figures.items()}


def release_memory() -> None:
    """Give back what nobody holds any more: networks lie in cycles, and torch keeps a GPU's memory for itself."""
    gc.collect()
    torch.cuda.empty_cache()  # of no effect where no GPU was used
