# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""When each point of a cloud was measured, from whichever field and unit a driver tells it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TIME_FIELDS: Final = ("t", "time", "timestamp", "time_stamp")
"""Names that drivers use."""
UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
LONGEST_SWEEP_NS: Final = 1_000_000_000
"""Points farther apart, or farther from the stamp, than this are not of one sweep."""
_LATEST_NS: Final = 2.0**62
"""In the year 2116: beyond it, no number is a time."""
_EPOCHS: Final = (("s", 1e11), ("ms", 1e14), ("us", 1e17))
"""Numbers of a time of today stay below these in each unit; above the last they are nanoseconds."""


@dataclass(frozen=True)
class PointTime:
    """How a cloud tells time.

    Attributes:
        field: the field's name; "" finds it.
        unit: "s", "ms", "us" or "ns"; "" takes integers for nanoseconds, and floating-point numbers for seconds, or
            if they are too large for seconds since 1970, for milli-, micro- or nanoseconds.
    """

    field: str = ""
    unit: str = ""

    def name(self, fields: Sequence[str]) -> str:
        """The field to read, "" where there is none."""
        wanted = (self.field,) if self.field else TIME_FIELDS
        return next((name for name in wanted if name in fields), "")

    def read(self, column: NDArray[Any], stamp_ns: int) -> NDArray[np.int64] | None:
        """Turn a column (N,) into nanoseconds (N,) on the clock of the stamp.

        Small numbers count from the stamp. Large ones are a clock's: of the stamp's where they lie within a second of
        it, or else of another, and then the first point was measured at the stamp. None where numbers are not finite
        or more than a second apart.
        """
        values = np.asarray(column, np.float64)
        if not len(values) or not np.isfinite(values).all():
            return None
        largest = float(np.max(np.abs(values)))
        unit_ns = UNITS_NS[self.unit or _guess(column.dtype, largest)]
        if largest * unit_ns > _LATEST_NS:
            return None
        lowest = float(np.min(values))
        if (float(np.max(values)) - lowest) * unit_ns > LONGEST_SWEEP_NS:
            return None
        # Split: float64 holds a time since the epoch to 0.3 microseconds, and steps in a sweep to far less.
        base_ns, offsets = round(lowest * unit_ns), np.rint((values - lowest) * unit_ns).astype(np.int64)
        if largest * unit_ns <= LONGEST_SWEEP_NS:
            return offsets + (stamp_ns + base_ns)
        return offsets + (base_ns if abs(base_ns - stamp_ns) <= LONGEST_SWEEP_NS else stamp_ns)


def _guess(number: np.dtype[Any], largest: float) -> str:
    if number.kind != "f":
        return "ns"
    return next((unit for unit, limit in _EPOCHS if largest < limit), "ns")
