# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Event streams of 16-bit words, code in the upper 4 bits: Prophesee's EVT3 and the driver's libcaer_cmp.

Both name a line once (EVT3 a row, libcaer_cmp a column), then single events along it or vectors of 12 or 8
bits, one bit an event, that advance their base as they go. Time comes in microseconds as 12 high and 12 low
bits. The line, the time and the vector base carry over from packet to packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from any2seg_core.projection.kernels import compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LINE, _POINT, _BASE, _VECTOR_12, _VECTOR_8, _TIME_LOW, _TIME_HIGH, _OTHER = range(8)
_TIME, _HIGH, _LOW, _START, _LAST, _CANDIDATE, _LINE_AT, _BASE_AT, _BASE_POLARITY = range(9)
"""Places in a decoder's state. _TIME: 0 unknown, 1 high bits known, 2 known, since _START. Positions: -1 unknown."""

_UNKNOWN: Final = (0, 0, 0, 0, -(1 << 62), -1, -1, -1, 0)


class Columns(NamedTuple):
    """Events on the sensor's own clock.

    Attributes:
        x, y: (N,) uint16; positions beyond 65535 read 65535.
        polarity: (N,) uint8, 1 brighter.
        t_ns: (N,) int64, never decreasing, from an origin that is the packet's own.
        start_ns: sensor time at which the stream (mono, libcaer_cmp: the packet) began, None if not known yet.
        unsynchronised: events left out because their time, line or vector base was not yet known.
    """

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.uint8]
    t_ns: NDArray[np.int64]
    start_ns: int | None
    unsynchronised: int


class WordDecoder:
    """Decodes one camera's packets in order.

    Time never runs backwards: TIME_HIGH may step back a little, as sensors are known to, and events then keep
    the latest time until the clock catches up. A TIME_HIGH farther ahead than nearby is believed only when the
    next one agrees, so a flipped bit there goes unnoticed; flipped lower bits shift time for 41 ms at most. The
    24-bit clock's wrap is a small step ahead like any other.
    """

    word_bytes: Final = 2

    def __init__(self, operations: Mapping[int, int], *, lines_are_rows: bool, per_packet_time: bool) -> None:
        self._operations = np.full(16, _OTHER, np.int64)
        self._operations[list(operations)] = list(operations.values())
        self._lines_are_rows = lines_are_rows
        self._per_packet_time = per_packet_time
        # A clock that starts anew in every packet jumps ahead after a pause and is not repeated to agree with.
        self._ahead = 4095 - _NEARBY if per_packet_time else _NEARBY
        self.resynchronise()
        self.decode(np.zeros(0, np.uint8), time_base=0, big_endian=False)

    def resynchronise(self) -> None:
        """Forget what earlier packets said; events are skipped until time and line are named again."""
        self._state = np.array(_UNKNOWN, np.int64)

    def decode(self, data: NDArray[np.uint8], *, time_base: int, big_endian: bool) -> Columns:
        """Decode a packet's (even number of) bytes; libcaer_cmp's time_base is in microseconds, EVT3 has none."""
        if self._per_packet_time:
            self._state[[_TIME, _HIGH, _LOW, _START, _LAST, _CANDIDATE]] = (2, 0, 0, 0, 0, -1)
        words = data.view(">u2" if big_endian else "<u2").astype(np.uint16)
        along, line, polarity, t_us, skipped = _decode(words, self._operations, self._state, self._ahead)
        x, y = (along, line) if self._lines_are_rows else (line, along)
        base_us = int(time_base) if self._per_packet_time else 0
        start_ns = (base_us + int(self._state[_START])) * 1000 if self._state[_TIME] == 2 else None
        return Columns(x, y, polarity, t_us * 1000, start_ns, int(skipped))


_NEARBY: Final = 10
"""Steps of TIME_HIGH, 4.096 ms each, that count as the clock going on, or back, without a jump."""


def evt3_decoder() -> WordDecoder:
    """Decoder of Prophesee's EVT3; words of other codes (triggers, system messages) are skipped."""
    operations = {
        0: _LINE, 2: _POINT, 3: _BASE, 4: _VECTOR_12, 5: _VECTOR_8, 6: _TIME_LOW, 8: _TIME_HIGH,
    }  # fmt: skip
    return WordDecoder(operations, lines_are_rows=True, per_packet_time=False)


def libcaer_decoder() -> WordDecoder:
    """Decoder of libcaer_cmp, which the driver of iniVation's cameras writes."""
    operations = {
        0: _TIME_HIGH, 1: _TIME_LOW, 2: _LINE, 3: _POINT, 4: _BASE, 5: _VECTOR_8, 6: _VECTOR_12,
    }  # fmt: skip
    return WordDecoder(operations, lines_are_rows=False, per_packet_time=True)


@compiled
def _room(words: NDArray[np.uint16], operations: NDArray[np.int64]) -> int:
    """Most events that the words can hold."""
    room = 0
    for word in words:
        operation = operations[word >> 12]
        if operation == _POINT:
            room += 1
        elif operation in (_VECTOR_12, _VECTOR_8):
            bits = word & (0xFFF if operation == _VECTOR_12 else 0xFF)
            while bits:
                bits &= bits - 1
                room += 1
    return room


@compiled
def _time_high(state: NDArray[np.int64], value: int, ahead: int) -> None:
    """Move the clock to new high bits, or wait for a second opinion."""
    if state[_TIME] == 0:
        state[_TIME], state[_HIGH] = 1, value
        return
    step = (value - state[_HIGH]) & 0xFFF
    back = 4096 - step
    agrees = state[_CANDIDATE] >= 0 and ((value - state[_CANDIDATE]) & 0xFFF) <= _NEARBY
    state[_CANDIDATE] = -1
    if step == 0:
        return
    if back <= _NEARBY:
        state[_HIGH] -= back
    elif step <= ahead or agrees:
        state[_HIGH] += step
    else:
        state[_CANDIDATE] = value
        return
    # The low bits still belong to the old high bits; counting from 0 keeps time from running ahead.
    state[_LOW] = 0


@compiled
def _remember(state: NDArray[np.int64], operation: int, value: int, ahead: int) -> None:
    """Take in a word that says something about the events to come."""
    if operation == _TIME_LOW:
        state[_LOW] = value
        if state[_TIME] == 1:
            state[_TIME], state[_START] = 2, state[_HIGH] * 4096 + value
    elif operation == _TIME_HIGH:
        _time_high(state, value, ahead)
    elif operation == _LINE:
        state[_LINE_AT] = value & 0x7FF
    elif operation == _BASE:
        state[_BASE_AT], state[_BASE_POLARITY] = value & 0x7FF, value >> 11


@compiled
def _decode(words: NDArray[np.uint16], operations: NDArray[np.int64], state: NDArray[np.int64], ahead: int) -> Any:
    room = _room(words, operations)
    along, line = np.empty(room, np.uint16), np.empty(room, np.uint16)
    polarity, t_us = np.empty(room, np.uint8), np.empty(room, np.int64)
    count = 0
    for word in words:
        operation, value = operations[word >> 12], word & 0xFFF
        if operation not in (_POINT, _VECTOR_12, _VECTOR_8):
            _remember(state, operation, value, ahead)
            continue
        start, sign, bits = value & 0x7FF, value >> 11, 1
        if operation != _POINT:
            start, sign, bits = state[_BASE_AT], state[_BASE_POLARITY], value
            length = 12 if operation == _VECTOR_12 else 8
            bits &= (1 << length) - 1
            state[_BASE_AT] += length if start >= 0 else 0
        if not bits or start < 0 or state[_TIME] < 2 or state[_LINE_AT] < 0:
            continue
        state[_LAST] = max(state[_LAST], state[_HIGH] * 4096 + state[_LOW])
        while bits:
            if bits & 1:
                along[count], line[count] = min(start, 0xFFFF), state[_LINE_AT]
                polarity[count], t_us[count] = sign, state[_LAST]
                count += 1
            bits >>= 1
            start += 1
    return along[:count], line[:count], polarity[:count], t_us[:count], room - count
