# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Events of every message type and encoding; EVT3 against a decoder written one rule at a time."""

from __future__ import annotations

import array
import itertools
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Events, Modality
from any2seg_ros import compat
from any2seg_ros.conversions import columns_fields, image_fields, make
from any2seg_ros.event_codecs import (
    DECODERS,
    EVENT_PACKET_DEFINITION,
    EVENT_PACKET_TYPE,
    EventReader,
    event_packet_fields,
)

# Codes of EVT3 words.
Y, X, BASE, VECTOR_12, VECTOR_8, LOW, HIGH, TRIGGER = 0, 2, 3, 4, 5, 6, 8, 10
STAMP = 1_700_000_000_000_000_000


@pytest.fixture(scope="module", params=["rclpy", "rosbags"])
def types(request):
    if request.param == "rclpy":
        pytest.importorskip("sensor_msgs.msg")
        return compat.message_class
    return bag_types()


def bag_types():
    typestore = get_typestore(Stores.LATEST)
    typestore.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE))
    return lambda name: typestore.types[name]


def header(stamp=STAMP):
    return SimpleNamespace(stamp=SimpleNamespace(sec=stamp // 10**9, nanosec=stamp % 10**9), frame_id="event_camera")


def packet(words, *, encoding="evt3", letter="H", seq=0, width=640, height=480, time_base=0, order="<", stamp=STAMP):
    data = array.array("B", struct.pack(f"{order}{len(words)}{letter}", *words))
    return SimpleNamespace(
        header=header(stamp), width=width, height=height, seq=seq, time_base=time_base, encoding=encoding,
        is_bigendian=order == ">", events=data,
    )  # fmt: skip


def word(code, value, bit_11=0):
    return code << 12 | bit_11 << 11 | value


def time_words(t_us):
    return [HIGH << 12 | (t_us >> 12 & 0xFFF), LOW << 12 | (t_us & 0xFFF)]


def rows(frame):
    events = frame.data
    return list(zip(events.x.tolist(), events.y.tolist(), events.polarity.tolist(), events.t_ns.tolist(), strict=True))


class SlowEvt3:
    """The rules of EVT3, one event at a time, in plain Python."""

    def __init__(self):
        self.y = self.base = self.high = self.low = self.doubtful = None
        self.base_polarity = self.skipped = 0
        self.latest = None

    def set_high(self, value):
        doubtful, self.doubtful = self.doubtful, None
        if self.high is None:
            self.high = value
            return
        current = self.high % 4096
        for distance in range(-10, 11):
            if (current + distance) % 4096 == value:
                if distance:
                    self.high += distance
                    self.low = 0 if self.low is not None else None
                return
        if doubtful is not None and value in [(doubtful + ahead) % 4096 for ahead in range(11)]:
            while self.high % 4096 != value:
                self.high += 1
            self.low = 0 if self.low is not None else None
        else:
            self.doubtful = value

    def event(self, x, polarity):
        if self.low is None or self.y is None or x is None:
            self.skipped += 1
            return []
        now = self.high * 4096 + self.low
        self.latest = now if self.latest is None else max(self.latest, now)
        return [(x, self.y, polarity, self.latest)]

    def feed(self, words):  # noqa: C901  one rule after the other
        events = []
        for one in words:
            code, value = one // 4096, one % 4096
            if code == Y:
                self.y = value % 2048
            elif code == X:
                events += self.event(value % 2048, value // 2048)
            elif code == BASE:
                self.base, self.base_polarity = value % 2048, value // 2048
            elif code in (VECTOR_12, VECTOR_8):
                for bit in range(12 if code == VECTOR_12 else 8):
                    if value & 2**bit:
                        events += self.event(None if self.base is None else self.base + bit, self.base_polarity)
                if self.base is not None:
                    self.base += 12 if code == VECTOR_12 else 8
            elif code == LOW:
                self.low = value if self.high is not None else None
            elif code == HIGH:
                self.set_high(value)
        return events


# Mostly words that say something, times that mostly go on, and now and then anything at all.
WORDS = st.lists(
    st.one_of(
        st.integers(0, 0xFFFF),
        st.builds(word, st.sampled_from([Y, X, BASE]), st.integers(0, 40), st.integers(0, 1)),
        st.builds(word, st.sampled_from([VECTOR_12, VECTOR_8]), st.integers(0, 2047), st.integers(0, 1)),
        st.builds(word, st.just(LOW), st.integers(0, 2047), st.integers(0, 1)),
        st.builds(lambda value: HIGH << 12 | value % 4096, st.integers(-20, 40)),
    ),
    max_size=60,
)


@given(WORDS, st.lists(st.integers(0, 60), max_size=5))
@settings(max_examples=300, deadline=None)
def test_evt3_follows_the_rules_wherever_packets_end(words, borders):
    words = [HIGH << 12, *words]
    decoder = DECODERS["evt3"]()
    slow = SlowEvt3()
    expected = slow.feed(words)
    cuts = [0, *sorted(min(border, len(words)) for border in borders), len(words)]
    found, skipped = [], 0
    for first, last in itertools.pairwise(cuts):
        data = np.array(words[first:last], "<u2").view(np.uint8)
        columns = decoder.decode(data, time_base=0, big_endian=False)
        found += zip(*(column.tolist() for column in columns[:4]), strict=True)
        skipped += columns.unsynchronised
    assert found == [(x, y, p, t * 1000) for x, y, p, t in expected]
    assert skipped == slow.skipped
    times = [event[3] for event in found]
    assert times == sorted(times)


def test_evt3_single_and_vector_events_by_hand():
    words = [
        *time_words(5000), word(Y, 7, 1), word(X, 100, 1), word(X, 101, 0),
        word(BASE, 20, 1), VECTOR_12 << 12 | 0b1000_0000_0001, VECTOR_8 << 12 | 0b0000_0110,
        word(TRIGGER, 1), word(LOW, 5010 & 0xFFF), word(Y, 8), word(X, 0),
    ]  # fmt: skip
    reader = EventReader()
    frame = reader.frame(packet(words))
    later = STAMP + 10_000
    assert rows(frame) == [
        (100, 7, 1, STAMP), (101, 7, 0, STAMP), (20, 7, 1, STAMP), (31, 7, 1, STAMP),
        (33, 7, 1, STAMP), (34, 7, 1, STAMP), (0, 8, 0, later),
    ]  # fmt: skip
    assert (frame.modality, frame.stamp_ns, frame.end_ns, frame.frame_id) == (
        Modality.EVENT, STAMP, later, "event_camera",
    )  # fmt: skip
    assert (frame.data.width, frame.data.height, reader.first_sensor_time_ns) == (640, 480, 5_000_000)
    columns = (frame.data.x, frame.data.y, frame.data.polarity, frame.data.t_ns)
    assert [column.dtype for column in columns] == [np.uint16, np.uint16, np.uint8, np.int64]


def test_big_endian_words_read_the_same():
    words = [*time_words(5000), word(Y, 7), word(X, 100, 1)]
    assert rows(EventReader().frame(packet(words, order=">"))) == [(100, 7, 1, STAMP)]


def test_the_clock_wraps_after_16_777_seconds():
    wrap = 1 << 24
    words = [*time_words(wrap - 5), word(Y, 1), word(X, 1), *time_words(wrap + 5), word(X, 2)]
    assert [row[3] - STAMP for row in rows(EventReader().frame(packet(words)))] == [0, 10_000]


def test_a_flipped_bit_in_time_high_changes_nothing():
    clean = []
    for t_us in range(0, 60_000, 3000):
        clean += [*time_words(t_us), word(Y, 1), word(X, 1)]
    times = [row[3] for row in rows(EventReader().frame(packet(clean)))]
    assert times == [STAMP + t_us * 1000 for t_us in range(0, 60_000, 3000)]
    # The flipped word's own low bits are then read on top of the high bits before: late by one step at most.
    for bit in range(4, 12):
        flipped = list(clean)
        flipped[4 * 10] ^= 1 << bit
        found = [row[3] for row in rows(EventReader().frame(packet(flipped)))]
        assert found == sorted(found)
        assert max(abs(a - b) for a, b in zip(found, times, strict=True)) <= 4_096_000


def test_a_real_jump_ahead_is_believed_when_repeated():
    words = [*time_words(0), word(Y, 1), word(X, 1), HIGH << 12 | 500, *time_words(500 << 12 | 7), word(X, 2)]
    assert [row[3] - STAMP for row in rows(EventReader().frame(packet(words)))] == [0, ((500 << 12) + 7) * 1000]


def test_a_small_step_back_keeps_the_latest_time():
    words = [
        *time_words(20 << 12 | 100), word(Y, 1), word(X, 1), *time_words(18 << 12 | 4000), word(X, 2),
        *time_words(20 << 12 | 300), word(X, 3),
    ]  # fmt: skip
    assert [row[3] - STAMP for row in rows(EventReader().frame(packet(words)))] == [0, 0, 200_000]


def test_lost_packets_are_counted_and_the_stream_waits_for_time_and_row():
    reader = EventReader()
    reader.frame(packet([*time_words(5000), word(Y, 7), word(X, 1)], seq=10))
    assert rows(reader.frame(packet([word(X, 2)], seq=11)))[0][:2] == (2, 7)
    frame = reader.frame(packet([word(X, 3), *time_words(9000), word(X, 4), word(Y, 9), word(X, 5)], seq=14))
    assert [row[:2] for row in rows(frame)] == [(5, 9)]
    assert (reader.counts.lost_packets, reader.counts.unsynchronised) == (2, 2)
    # A sequence that starts over, as when a bag loops, loses nothing but begins anew.
    assert rows(reader.frame(packet([word(X, 6)], seq=3))) == []
    assert reader.counts.lost_packets == 2


def test_a_sequence_number_that_stands_still_is_no_loss():
    reader = EventReader()
    reader.frame(packet([*time_words(5000), word(Y, 7)], seq=0))
    assert len(reader.frame(packet([word(X, 2)], seq=0)).data) == 1
    assert reader.counts.lost_packets == 0


def test_another_sensor_size_or_reset_begins_anew():
    reader = EventReader()
    start = [*time_words(5000), word(Y, 7)]
    reader.frame(packet(start, seq=1))
    assert rows(reader.frame(packet([word(X, 2)], seq=2, width=320))) == []
    reader.frame(packet(start, seq=3, width=320))
    reader.reset()
    assert reader.first_sensor_time_ns is None
    assert rows(reader.frame(packet([word(X, 2)], seq=4, width=320))) == []


def test_events_outside_the_sensor_are_dropped_and_counted():
    words = [
        *time_words(0),
        word(Y, 7),
        word(X, 640),
        word(X, 639),
        word(BASE, 636),
        VECTOR_8 << 12 | 0xFF,
        word(Y, 480),
    ]
    reader = EventReader()
    frame = reader.frame(packet([*words, word(X, 1)]))
    assert [row[0] for row in rows(frame)] == [639, 636, 637, 638, 639]
    assert reader.counts.outside == 6


@pytest.mark.parametrize("encoding", sorted(DECODERS))
def test_an_empty_packet_is_a_sign_of_life_without_events(encoding):
    frame = EventReader().frame(packet([], encoding=encoding))
    assert (len(frame.data), frame.stamp_ns, frame.end_ns) == (0, STAMP, STAMP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoding": "evt4"}, r"found encoding 'evt4', expected one of evt3, libcaer_cmp, mono; set the driver"),
        ({"width": 0}, r"found a sensor of 0x480 pixels, expected 1 to 65535 each way"),
        ({"width": 0, "height": 0}, r"found a sensor of 0x0 pixels.*give the reader the sensor's size"),
        ({"height": 65536}, r"found a sensor of 640x65536"),
        ({"events": b"abc"}, r"found 3 bytes of evt3, expected a multiple of 2; the packet was cut off"),
        ({"encoding": "mono", "events": bytes(12)}, r"found 12 bytes of mono, expected a multiple of 8"),
        ({"events": None}, r"found NoneType, expected bytes"),
    ],
)
def test_what_a_packet_cannot_be(changes, message):
    bad = packet([])
    vars(bad).update(changes)
    with pytest.raises(FrameError, match=message):
        EventReader().frame(bad)


def test_a_cut_packet_makes_the_stream_begin_anew():
    reader = EventReader()
    reader.frame(packet([*time_words(5000), word(Y, 7)], seq=1))
    cut = packet([], seq=2)
    cut.events = b"abc"
    with pytest.raises(FrameError, match="cut off"):
        reader.frame(cut)
    assert rows(reader.frame(packet([word(X, 2)], seq=3))) == []
    assert reader.counts.unsynchronised == 1


def test_other_messages_and_units_are_named():
    with pytest.raises(FrameError, match=r"found Header, expected EventPacket, EventArray, PointCloud2 or Image"):
        EventReader().frame(type("Header", (), {})())
    with pytest.raises(ConfigError, match=r"found time unit 'm', expected one of s, ms, us, ns or ''"):
        EventReader(cloud_time_unit="m")


READER = EventReader()


@given(
    st.builds(
        SimpleNamespace,
        header=st.just(header()),
        width=st.integers(0, 2**32 - 1) | st.integers(1, 9),
        height=st.integers(0, 2**32 - 1) | st.integers(1, 9),
        seq=st.integers(0, 2**64 - 1) | st.integers(0, 3),
        time_base=st.integers(0, 2**64 - 1),
        encoding=st.sampled_from([*DECODERS, "", "libcaer"]),
        is_bigendian=st.booleans(),
        events=st.binary(max_size=96),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_packet_breaks_the_reader(message):
    try:
        events = READER.frame(message).data
    except FrameError:
        return
    assert (events.x < message.width).all()
    assert (events.y < message.height).all()
    assert (np.diff(events.t_ns) >= 0).all()
    assert (events.t_ns >= STAMP).all()
    assert set(events.polarity.tolist()) <= {0, 1}


def test_libcaer_cmp_names_columns_first_and_starts_its_clock_in_every_packet():
    time_high, time_low, x, y, base, vector_8 = range(6)
    words = [
        word(x, 30), word(y, 5, 1), time_low << 12 | 50, word(x, 31), word(y, 6, 0),
        word(base, 100, 1), vector_8 << 12 | 0b1000_0001, time_high << 12 | 100, word(y, 7, 1),
    ]  # fmt: skip
    reader = EventReader()
    for start in (0, 1):
        frame = reader.frame(packet(words, encoding="libcaer_cmp", time_base=10**15 + start, seq=start))
        assert rows(frame) == [
            (30, 5, 1, STAMP), (31, 6, 0, STAMP + 50_000), (31, 100, 1, STAMP + 50_000),
            (31, 107, 1, STAMP + 50_000), (31, 7, 1, STAMP + (100 * 4096 + 50) * 1000 - 50_000),
        ]  # fmt: skip
    assert reader.first_sensor_time_ns == 10**18


def events_of(draw_rows, width=8192, height=4096):
    ordered = sorted(draw_rows, key=lambda row: row[3])
    x, y, p, t = (np.array([row[i] for row in ordered]) for i in range(4))
    return Events(x.astype("u2"), y.astype("u2"), p.astype("u1"), t.astype("i8"), width, height)


EVENT_ROWS = st.lists(
    st.tuples(st.integers(0, 8191), st.integers(0, 4095), st.integers(0, 1), st.integers(STAMP, STAMP + 2**32 - 1)),
    max_size=20,
)


@given(EVENT_ROWS)
@settings(max_examples=60, deadline=None)
def test_mono_packets_round_trip(draw_rows):
    events = events_of(draw_rows)
    fields = event_packet_fields(events, frame_id="cam", seq=5, stamp_ns=None if draw_rows else STAMP)
    message = make(fields, bag_types())
    frame = READER.frame(message)
    for name in ("x", "y", "polarity", "t_ns"):
        np.testing.assert_array_equal(getattr(frame.data, name), getattr(events, name))
    assert (frame.data.width, frame.data.height, frame.frame_id) == (8192, 4096, "cam")
    assert (message.seq, message.encoding) == (5, "mono")


def test_mono_bits_by_hand_and_out_of_order():
    early, late = 1_000 | 3 << 32 | 4 << 48, 9_000 | 5 << 32 | 6 << 48 | 1 << 63
    reader = EventReader()
    for order in "<>":
        frame = reader.frame(packet([late, early], encoding="mono", letter="Q", time_base=10**18, order=order))
        assert rows(frame) == [(3, 4, 0, STAMP), (5, 6, 1, STAMP + 8_000)]
    assert reader.first_sensor_time_ns == 10**18 + 1_000


@pytest.mark.parametrize(
    ("draw_rows", "changes", "message"),
    [
        ([(1, 1, 1, 5)], {"encoding": "evt3"}, r"found encoding 'evt3' to write, expected 'mono'"),
        ([], {}, r"found neither events nor a stamp, expected one of them; give stamp_ns"),
        ([(1, 1, 1, 5), (1, 1, 1, 5 + 2**32)], {}, r"found 2 events from 5 ns .*within 4.29 s .*write shorter packets"),
        ([(1, 1, 1, -5)], {}, r"found 1 events from -5 ns"),
    ],
)
def test_what_cannot_be_written_as_mono(draw_rows, changes, message):
    with pytest.raises(FrameError, match=message):
        event_packet_fields(events_of(draw_rows), frame_id="", seq=0, **changes)


EVENT = "uint16 x\nuint16 y\nbuiltin_interfaces/Time ts\nbool polarity\n"
EVENT_ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\n{}/Event[] events\n"


@pytest.mark.parametrize("package", ["dvs_msgs", "prophesee_event_msgs"])
def test_event_arrays_carry_host_times(package):
    typestore = get_typestore(Stores.LATEST)
    typestore.register(get_types_from_msg(EVENT, f"{package}/msg/Event"))
    typestore.register(get_types_from_msg(EVENT_ARRAY.format(package), f"{package}/msg/EventArray"))
    event = typestore.types[f"{package}/msg/Event"]
    time = typestore.types["builtin_interfaces/msg/Time"]
    message = typestore.types[f"{package}/msg/EventArray"](
        header=header(), height=180, width=240,
        events=[event(5, 6, time(1_700_000_000, 900), True), event(7, 8, time(1_700_000_000, 100), False),
                event(240, 8, time(1_700_000_000, 100), False)],
    )  # fmt: skip
    reader = EventReader()
    frame = reader.frame(message)
    assert rows(frame) == [(7, 8, 0, STAMP + 100), (5, 6, 1, STAMP + 900)]
    assert (frame.size, frame.stamp_ns, frame.end_ns) == ((180, 240), STAMP, STAMP + 900)
    assert (reader.counts.outside, reader.first_sensor_time_ns) == (1, STAMP + 900)


def test_an_event_array_of_something_else():
    message = SimpleNamespace(header=header(), height=1, width=1, events=[SimpleNamespace(x=1)])
    with pytest.raises(FrameError, match=r"event array that cannot be read .*expected events with x, y, ts, polarity"):
        EventReader().frame(message)


CLOUDS = {
    "seconds": ("t", "f8", [0.0, 1e-6], "", "p", "u1"),
    "float32 seconds": ("ts", "f4", [0.0, 1e-6], "", "polarity", "i1"),
    "microseconds": ("t", "u4", [7, 8], "", "pol", "i2"),
    "nanoseconds": ("timestamp", "u4", [70, 1070], "ns", "p", "f4"),
    "carla": ("t", "f8", [4e9, 4e9 + 1000], "ns", "pol", "i1"),
}


@pytest.mark.parametrize("kind", sorted(CLOUDS))
def test_point_clouds_of_events(types, kind):
    time, time_type, times, unit, sign, sign_type = CLOUDS[kind]
    columns = {
        "x": np.array([3, 4, 700], "u2"),
        "y": np.array([5, 6, 7], "f4"),
        time: np.array([*times[::-1], times[0]], time_type),
        sign: np.array([1, 0, 1], sign_type),
    }
    message = make(columns_fields(columns, stamp_ns=STAMP, frame_id="event_camera"), types)
    reader = EventReader(width=640, height=480, cloud_time_unit=unit)
    frame = reader.frame(message)
    assert rows(frame) == [(4, 6, 0, STAMP), (3, 5, 1, STAMP + 1000)]
    assert (reader.counts.outside, frame.size, frame.end_ns) == (1, (480, 640), STAMP + 1000)


def test_point_clouds_of_events_that_cannot_be_read(types):
    columns = {name: np.array([1, 2], "f8") for name in "xytp"}
    message = make(columns_fields(columns, stamp_ns=STAMP, frame_id=""), types)
    with pytest.raises(FrameError, match=r"found a sensor of 0x0 pixels.*give the reader the sensor's size"):
        EventReader().frame(message)
    reader = EventReader(width=9, height=9)
    lidar = make(columns_fields(dict.fromkeys("xyz", columns["x"]), stamp_ns=STAMP, frame_id=""), types)
    with pytest.raises(FrameError, match=r"found fields x, y, z, expected x, y, t, p too; t, p missing"):
        reader.frame(lidar)
    far = make(columns_fields({**columns, "t": np.array([0, 1e300])}, stamp_ns=STAMP, frame_id=""), types)
    with pytest.raises(FrameError, match=r"found times up to 1e\+300 s, expected one message's worth; set the time"):
        reader.frame(far)
    unknown = make(columns_fields({**columns, "t": np.array([np.nan, 3])}, stamp_ns=STAMP, frame_id=""), types)
    assert rows(reader.frame(unknown)) == [(2, 2, 1, STAMP)]
    assert reader.counts.outside == 1


def test_rendered_events_are_an_image(types):
    message = make(image_fields(np.full((2, 3, 3), 9, np.uint8), "bgr8", stamp_ns=7, frame_id="c"), types)
    frame = EventReader().frame(message)
    assert (frame.modality, frame.data.shape, frame.stamp_ns) == (Modality.EVENT, (2, 3, 3), 7)


def test_a_recorded_event_camera(shared_data):
    reader = EventReader()
    with AnyReader([shared_data / "event_camera_evt3" / "bag"]) as bag:
        messages = [bag.deserialize(raw, connection.msgtype) for connection, _, raw in bag.messages()]
    frames = [reader.frame(message) for message in messages]
    assert sum(len(frame.data) for frame in frames) == 343_474
    assert reader.first_sensor_time_ns == 7_139_840_000
    counts = reader.counts
    assert (counts.lost_packets, counts.outside, counts.unsynchronised) == (0, 0, 0)
    slow = SlowEvt3()
    words = np.concatenate([message.events.view("<u2") for message in messages[:40]]).tolist()
    expected = slow.feed(words)
    found = [row[:3] for frame in frames[:40] for row in rows(frame)]
    assert found == [row[:3] for row in expected]
    assert all(0 <= frame.end_ns - frame.stamp_ns < 20_000_000 for frame in frames)


def test_a_recorded_event_camera_with_packets_missing(shared_data):
    reader = EventReader()
    with AnyReader([shared_data / "event_camera_evt3" / "bag"]) as bag:
        messages = [bag.deserialize(raw, connection.msgtype) for connection, _, raw in bag.messages()]
    kept = [message for number, message in enumerate(messages) if number % 10]
    frames = [reader.frame(message) for message in kept]
    assert reader.counts.lost_packets == len(messages) // 10
    assert all((np.diff(frame.data.t_ns) >= 0).all() for frame in frames)
    assert all(frame.end_ns - frame.stamp_ns < 20_000_000 for frame in frames)
    total = sum(len(frame.data) for frame in frames) + reader.counts.unsynchronised
    assert 0.88 * 343_474 < total < 0.92 * 343_474
    assert reader.counts.unsynchronised < 0.01 * total
