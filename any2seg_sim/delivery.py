# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Readings on their way to whoever listens: what is measured may fail on the way, what is true does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from any2seg_core.faults import Arrival

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from any2seg_core.faults import FaultCount, FaultRun
    from any2seg_sim.messages import MessageWriter, TopicMessage
    from any2seg_sim.readings import Reading

_COLUMNS: Final = {"ring": "rings", "t": "times_ns"}
"""What a sweep knows of each point, by the name of its column in a cloud."""


@dataclass(frozen=True)
class Delivery:
    """What a drive led to.

    Attributes:
        messages: number of messages that went out, by topic.
        faults: what each fault of the script did.
    """

    messages: dict[str, int]
    faults: tuple[FaultCount, ...] = ()


def topic_messages(
    readings: Iterable[Reading], writer: MessageWriter, faults: FaultRun | None = None
) -> Iterator[TopicMessage]:
    """Yield the messages of readings in order of arrival.

    Faults act on measurements and take their calibration along, as both come from one driver. Truth goes out as if
    nothing had failed: a frozen camera's labels show the street that its robot drives through.

    Args:
        readings: in order of arrival.
        writer: describes them as messages.
        faults: act on them.
    """
    for reading in readings:
        arrival = arrival_of(reading)
        for left in [arrival] if faults is None else faults.push(arrival):
            yield from writer.measurement(_measured(left), left.arrival_ns)
        yield from writer.truth(reading)
    for left in [] if faults is None else faults.flush():
        yield from writer.measurement(_measured(left), left.arrival_ns)


def arrival_of(reading: Reading) -> Arrival:
    """Let a reading arrive as soon as it is complete; the reading itself is the tag."""
    known = {column: getattr(reading, name) for column, name in _COLUMNS.items()}
    columns: dict[str, NDArray[Any]] = {column: values for column, values in known.items() if values is not None}
    return Arrival(reading.ready_ns, reading.frame, reading, columns)


def _measured(arrival: Arrival) -> Reading:
    """Give what is left of a measurement, without truth, which no longer fits it."""
    columns: dict[str, Any] = {name: arrival.columns.get(column) for column, name in _COLUMNS.items()}
    reading = cast("Reading", arrival.tag)
    return replace(reading, frame=arrival.frame, labels=None, exact=None, **columns)
