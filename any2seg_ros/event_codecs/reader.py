# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Any message that carries events to a frame of events, on the clock of the message headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Events, Modality, SensorFrame
from any2seg_ros.conversions import cloud_columns, image_frame, stamp_ns
from any2seg_ros.conversions.buffers import byte_view
from any2seg_ros.conversions.clouds import field_names
from any2seg_ros.event_codecs.packets import DECODERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_ros.event_codecs.packets import PacketDecoder

_TIME_UNITS_NS: Final = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
_TIME_FIELDS: Final = ("t", "ts", "timestamp", "time")
_POLARITY_FIELDS: Final = ("p", "polarity", "pol")


@dataclass
class EventCounts:
    """What a reader had to leave out since it was made.

    Attributes:
        lost_packets: packets missing from the sequence numbers.
        outside: events outside the sensor, the mark of bit errors or a wrong sensor size.
        unsynchronised: events after a loss whose row or time was not known yet.
    """

    lost_packets: int = 0
    outside: int = 0
    unsynchronised: int = 0


class EventReader:
    """Reads one topic of events; keeps what its encoding carries over from message to message.

    Takes event_camera_msgs/EventPacket (evt3, libcaer_cmp, mono), EventArray of dvs_msgs or prophesee_event_msgs,
    sensor_msgs/PointCloud2 with x, y, t and p, and rendered sensor_msgs/Image, told apart by their attributes.

    Host time: EventPacket and PointCloud2 carry sensor time, so their first event gets the header's stamp and
    the others follow at the sensor's pace. EventArray's times are host times already. Every message starts
    anew from its own header, so clocks never drift apart, and packets may overlap by the jitter of their stamps.

    Args:
        width: sensor size, pixels, for messages that do not tell it, as PointCloud2 does not.
        height: the other side.
        cloud_time_unit: unit of PointCloud2's t: "s", "ms", "us", "ns", or "" for seconds in floating point
            fields and microseconds in integer ones. CARLA's bridge writes "ns" in floating point.

    Attributes:
        counts: what was left out.
        first_sensor_time_ns: sensor time at which the stream began, counted since reset; None before that.
    """

    def __init__(self, *, width: int = 0, height: int = 0, cloud_time_unit: str = "") -> None:
        if cloud_time_unit and cloud_time_unit not in _TIME_UNITS_NS:
            msg = (
                f"event reader: found time unit {cloud_time_unit!r}, expected one of {', '.join(_TIME_UNITS_NS)} or ''"
            )
            raise ConfigError(msg)
        self._size = (width, height)
        self._cloud_time_unit = cloud_time_unit
        self.counts = EventCounts()
        # Compiling the word decoders takes a second, which belongs here and not at the first packet.
        self._decoders: dict[str, PacketDecoder] = {name: create() for name, create in DECODERS.items()}
        self.reset()

    def reset(self) -> None:
        """Start anew, as after a jump in time; the counts stay."""
        self.first_sensor_time_ns: int | None = None
        self._stream: tuple[str, int, int] | None = None
        self._seq: int | None = None

    def frame(self, msg: Any) -> SensorFrame:
        """Read a message: Events, or (H, W, 3) uint8 from a rendered image.

        A packet without events is a sign of life and reads as no events. Events outside the sensor are dropped
        and counted; a change of encoding or sensor size, or a gap in seq, starts the decoder anew.

        Raises:
            FrameError: not a message of events, an unknown encoding, no sensor size, or bytes that are no whole
                number of words.
        """
        for attributes, read in _READERS.items():
            if all(hasattr(msg, name) for name in attributes):
                frame: SensorFrame = getattr(self, read)(msg)
                return frame
        msg_text = (
            f"events: found {type(msg).__name__}, expected EventPacket, EventArray, PointCloud2 or Image; "
            "check the topic's type"
        )
        raise FrameError(msg_text)

    def _read_packet(self, msg: Any) -> SensorFrame:
        encoding = str(msg.encoding)
        if encoding not in DECODERS:
            msg_text = (
                f"events: found encoding {encoding!r}, expected one of {', '.join(DECODERS)}; set the driver to evt3"
            )
            raise FrameError(msg_text)
        width, height = self._sensor_size(msg)
        decoder = self._decoders[encoding]
        data = byte_view(msg.events)
        self._follow((encoding, width, height), int(msg.seq), decoder)
        if len(data) % decoder.word_bytes:
            self._stream = None
            msg_text = (
                f"events: found {len(data)} bytes of {encoding}, expected a multiple of {decoder.word_bytes}; "
                "the packet was cut off"
            )
            raise FrameError(msg_text)
        columns = decoder.decode(data, time_base=int(msg.time_base), big_endian=bool(msg.is_bigendian))
        self.counts.unsynchronised += columns.unsynchronised
        t_ns = columns.t_ns
        if self.first_sensor_time_ns is None:
            self.first_sensor_time_ns = columns.start_ns
        if len(t_ns):
            t_ns = t_ns + (stamp_ns(msg.header) - t_ns[0])
        return self._event_frame(msg, (columns.x, columns.y, columns.polarity, t_ns), width, height)

    def _follow(self, stream: tuple[str, int, int], seq: int, decoder: PacketDecoder) -> None:
        """Start the decoder anew where this packet does not follow the last one; a seq that stands still is unused."""
        gap = 0 if self._seq is None or seq == self._seq else seq - self._seq - 1
        if stream != self._stream:
            decoder.resynchronise()
        elif gap:
            self.counts.lost_packets += max(gap, 0)
            decoder.resynchronise()
        self._stream, self._seq = stream, seq

    def _read_array(self, msg: Any) -> SensorFrame:
        width, height = self._sensor_size(msg)
        events: Sequence[Any] = msg.events
        try:
            x = np.fromiter((event.x for event in events), np.int64, len(events))
            y = np.fromiter((event.y for event in events), np.int64, len(events))
            polarity = np.fromiter((bool(event.polarity) for event in events), np.uint8, len(events))
            t_ns = np.fromiter(
                (event.ts.sec * 1_000_000_000 + event.ts.nanosec for event in events), np.int64, len(events)
            )
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            msg_text = (
                f"events: found an event array that cannot be read ({error}), expected events with x, y, ts, polarity"
            )
            raise FrameError(msg_text) from None
        if len(t_ns) and self.first_sensor_time_ns is None:
            self.first_sensor_time_ns = int(t_ns[0])
        return self._event_frame(msg, (x, y, polarity, t_ns), width, height)

    def _read_cloud(self, msg: Any) -> SensorFrame:
        names = field_names(msg)
        time = next((name for name in _TIME_FIELDS if name in names), "t")
        sign = next((name for name in _POLARITY_FIELDS if name in names), "p")
        columns = cloud_columns(msg, ["x", "y", time, sign])
        width, height = self._checked_size(*self._size)
        x, y, t, p = (columns[name] for name in ("x", "y", time, sign))
        unit = self._cloud_time_unit or ("s" if t.dtype.kind == "f" else "us")
        known = np.ones(len(t), bool)
        for column in (x, y, t, p):
            if column.dtype.kind == "f":
                known &= np.isfinite(column)
        unknown = len(known) - int(np.count_nonzero(known))
        if unknown:
            self.counts.outside += unknown
            x, y, t, p = (column[known] for column in (x, y, t, p))
        first = float(np.min(t)) if len(t) else 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            after_ns = (t.astype(np.float64) - first) * _TIME_UNITS_NS[unit]
        if len(t) and not np.max(after_ns) < 2.0**60:
            msg_text = f"events: found times up to {np.max(t)} {unit}, expected one message's worth; set the time unit"
            raise FrameError(msg_text)
        if len(t) and self.first_sensor_time_ns is None:
            self.first_sensor_time_ns = round(first * _TIME_UNITS_NS[unit])
        t_ns = np.rint(after_ns).astype(np.int64) + stamp_ns(msg.header)
        x, y = (_whole(column) for column in (x, y))
        return self._event_frame(msg, (x, y, (p > 0).astype(np.uint8), t_ns), width, height)

    def _read_image(self, msg: Any) -> SensorFrame:
        return image_frame(msg, Modality.EVENT)

    def _sensor_size(self, msg: Any) -> tuple[int, int]:
        width, height = int(msg.width), int(msg.height)
        return self._checked_size(*((width, height) if width or height else self._size))

    @staticmethod
    def _checked_size(width: int, height: int) -> tuple[int, int]:
        if not (0 < width <= 0xFFFF and 0 < height <= 0xFFFF):
            msg = (
                f"events: found a sensor of {width}x{height} pixels, expected 1 to 65535 each way; "
                "give the reader the sensor's size where the message does not tell it"
            )
            raise FrameError(msg)
        return width, height

    def _event_frame(self, msg: Any, columns: Sequence[NDArray[Any]], width: int, height: int) -> SensorFrame:
        x, y, polarity, t_ns = columns
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        outside = len(x) - int(np.count_nonzero(inside))
        if outside:
            self.counts.outside += outside
            x, y, polarity, t_ns = (column[inside] for column in columns)
        if np.any(t_ns[1:] < t_ns[:-1]):
            order = np.argsort(t_ns, kind="stable")
            x, y, polarity, t_ns = (column[order] for column in (x, y, polarity, t_ns))
        events = Events(x.astype(np.uint16, copy=False), y.astype(np.uint16, copy=False), polarity, t_ns, width, height)
        stamp = stamp_ns(msg.header)
        end_ns = int(t_ns[-1]) if len(t_ns) else stamp
        return SensorFrame(Modality.EVENT, stamp, str(msg.header.frame_id), events, end_ns=end_ns)


_READERS: Final = {
    ("header", "width", "height", "encoding", "events", "time_base", "seq", "is_bigendian"): "_read_packet",
    ("header", "width", "height", "events"): "_read_array",
    ("header", "fields", "point_step", "row_step", "data"): "_read_cloud",
    ("header", "encoding", "step", "data"): "_read_image",
}


def _whole(column: NDArray[Any]) -> NDArray[np.int64]:
    """Pixel coordinates as whole numbers; what no sensor has becomes -1 or 65535, which are off any."""
    whole = np.floor(column) if column.dtype.kind == "f" else column.astype(np.int64)
    clipped: NDArray[np.int64] = np.clip(whole, -1, 0xFFFF).astype(np.int64, copy=False)
    return clipped
