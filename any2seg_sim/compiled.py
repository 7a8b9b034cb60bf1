# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Compilation of the loops over rays, which call each other across files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])

_LOOPS: Final = (
    "compiled.py",
    "edges.py",
    "lighting.py",
    "materials.py",
    "occlusion.py",
    "rays.py",
    "shading.py",
    "textures.py",
    "tracer.py",
    "sensors/camera.py",
    "sensors/events.py",
    "weather/rain.py",
    "weather/sky.py",
)
"""Files of loops and of constants that are compiled into them."""


def compiled(function: Function) -> Function:
    """Compile at the first call and keep the machine code on disk, where there is a place for it, until a loop changes.

    numba itself looks at the file of the calling function only, so that after an edit to what it calls, or a switch
    of branches, stale code would run. Here the stamp covers all files of loops; where numba keeps no such stamp,
    nothing is kept on disk.
    """
    try:
        dispatcher = njit(cache=True, error_model="numpy")(function)
    except RuntimeError:
        return cast("Function", njit(error_model="numpy")(function))
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if file is None or not hasattr(file, "_source_stamp"):
        return cast("Function", njit(error_model="numpy")(function))
    file._source_stamp = _stamp()  # noqa: SLF001 - numba has no public way
    return cast("Function", dispatcher)


@functools.cache
def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of every file of loops."""
    root = Path(__file__).parent
    stats = ((name, (root / name).stat()) for name in _LOOPS)
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)
