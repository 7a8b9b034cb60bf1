# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""event_camera_msgs/EventPacket: its encodings, its definition, and how to write one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_ros.conversions import Fields, header_fields
from any2seg_ros.event_codecs.words import Columns, evt3_decoder, libcaer_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_core.frames import Events

EVENT_PACKET_TYPE: Final = "event_camera_msgs/msg/EventPacket"
EVENT_PACKET_DEFINITION: Final = """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
"""Fields of the message, for typestores that do not know it."""


class PacketDecoder(Protocol):
    """Decodes the packets of one camera, one after the other."""

    @property
    def word_bytes(self) -> int:
        """Bytes of a word; packets hold whole words."""

    def decode(self, data: NDArray[np.uint8], *, time_base: int, big_endian: bool) -> Columns:
        """Decode a packet's bytes, a whole number of words."""

    def resynchronise(self) -> None:
        """Forget what earlier packets said, because packets in between were lost."""


class MonoDecoder:
    """Decodes mono: 64-bit words of 32 bits nanoseconds after time_base, 16 bits x, 15 bits y, 1 bit polarity."""

    word_bytes: Final = 8

    def decode(self, data: NDArray[np.uint8], *, time_base: int, big_endian: bool) -> Columns:
        """Decode a packet's bytes; each packet stands for itself."""
        words = data.view(">u8" if big_endian else "<u8").astype(np.uint64)
        t_ns = (words & np.uint64(0xFFFF_FFFF)).astype(np.int64)
        if np.any(t_ns[1:] < t_ns[:-1]):
            order = np.argsort(t_ns, kind="stable")
            words, t_ns = words[order], t_ns[order]
        start_ns = int(time_base) + int(t_ns[0]) if len(t_ns) else None
        upper = (words >> np.uint64(32)).astype(np.uint32)
        x = (upper & np.uint32(0xFFFF)).astype(np.uint16)
        y = ((upper >> np.uint32(16)) & np.uint32(0x7FFF)).astype(np.uint16)
        return Columns(x, y, (upper >> np.uint32(31)).astype(np.uint8), t_ns, start_ns, 0)

    def resynchronise(self) -> None:
        """Nothing is carried over."""


DECODERS: Final[Mapping[str, Callable[[], PacketDecoder]]] = {
    "evt3": evt3_decoder,
    "libcaer_cmp": libcaer_decoder,
    "mono": MonoDecoder,
}


def event_packet_fields(
    events: Events, *, frame_id: str, seq: int, stamp_ns: int | None = None, encoding: str = "mono"
) -> Fields:
    """Describe an EventPacket, in the encoding mono, that reads back as the same events.

    Args:
        events: at most 4.29 s of them, in order of time.
        frame_id: header frame.
        seq: number of the packet, one more than the packet before.
        stamp_ns: header stamp, the time of the first event; needed only where there are no events.
        encoding: "mono".

    Raises:
        FrameError: another encoding, no event and no stamp, or events that do not fit the encoding.
    """
    if encoding != "mono":
        msg = f"event packet: found encoding {encoding!r} to write, expected 'mono'; the others can only be read"
        raise FrameError(msg)
    if stamp_ns is None and not len(events):
        msg = "event packet: found neither events nor a stamp, expected one of them; give stamp_ns"
        raise FrameError(msg)
    first_ns = int(events.t_ns[0]) if len(events) else int(stamp_ns or 0)
    after_ns = events.t_ns - first_ns
    too_long = len(events) and (np.min(after_ns) < 0 or np.max(after_ns) > 0xFFFF_FFFF)
    if first_ns < 0 or too_long or events.height > 0x7FFF or events.width > 0xFFFF:
        msg = (
            f"event packet: found {len(events)} events from {first_ns} ns on {events.width}x{events.height} pixels, "
            "expected ordered times within 4.29 s and at most 65535x32767 pixels; write shorter packets"
        )
        raise FrameError(msg)
    upper = events.x | events.y.astype(np.uint32) << np.uint32(16) | events.polarity.astype(np.uint32) << np.uint32(31)
    words = after_ns.astype(np.uint64) | upper.astype(np.uint64) << np.uint64(32)
    return Fields(
        EVENT_PACKET_TYPE,
        {
            "header": header_fields(first_ns if stamp_ns is None else stamp_ns, frame_id),
            "height": int(events.height),
            "width": int(events.width),
            "seq": int(seq),
            "time_base": first_ns,
            "encoding": encoding,
            "is_bigendian": False,
            "events": words.astype("<u8").view(np.uint8),
        },
    )
