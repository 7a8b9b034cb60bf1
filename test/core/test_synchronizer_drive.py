# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Whole drives through the synchronizer: sensors with rates, phases, lags and deaths, and a timer that obeys it.

A drive is a discrete-event simulation. Messages arrive at the steady time of their stamp plus their lag (plus BOOT, so
that mixing up the two clocks would show at once); between messages poll is called exactly at next_deadline_ns.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.frames import Absence
from any2seg_core.synchronizer import DropTolerantSynchronizer, StreamPolicy, SyncPolicy

MS = 1_000_000
S = 1000 * MS
EPOCH = 1_700_000_000 * S
BOOT = 5000 * S
NAMES = ("camera", "depth", "events", "lidar")


@dataclass(frozen=True)
class Sensor:
    """Times in milliseconds of the drive; dead holds (from, to) spans of moments that are not measured."""

    period: float
    phase: float = 0.0
    lag: float = 2.0
    dead: tuple = ()
    jitter: float = 0.0
    packet: float = 0.0

    def messages(self, name, end, rng):
        moment = self.phase
        while moment < end:
            stamp = moment + rng.uniform(-self.jitter, self.jitter)
            if not any(start <= moment < stop for start, stop in self.dead):
                arrival = stamp + self.packet + self.lag + rng.uniform(0, self.jitter)
                yield (round(arrival * MS), name, round(stamp * MS), round((stamp + self.packet) * MS))
            moment += self.period


@dataclass
class Drive:
    sync: DropTolerantSynchronizer
    fired: list = field(default_factory=list)
    polls: int = 0

    def until(self, time_ns):
        while (due := self.sync.next_deadline_ns()) is not None and due < BOOT + time_ns:
            self.polls += 1
            self.note(due, self.sync.poll(due))
            later = self.sync.next_deadline_ns()
            assert later is None or later > due, "poll at the deadline must get its work done"

    def note(self, now_ns, matches):
        self.fired += [((now_ns - BOOT) / MS, match) for match in matches]

    def run(self, sensors, end=3000, seed=0):
        rng = random.Random(seed)  # noqa: S311
        queue = sorted(message for name, sensor in sensors.items() for message in sensor.messages(name, end, rng))
        for arrival, name, stamp, last in queue:
            self.until(arrival)
            now = BOOT + arrival
            item = (name, EPOCH + stamp, EPOCH + last)
            self.note(now, self.sync.add(name, item, EPOCH + stamp, now, EPOCH + last))
        self.until((end + 2000) * MS)
        return self.fired


def synchronizer(names=NAMES, *, streams=None, **policy):
    policies = {
        name: StreamPolicy(slop_ns=50 * MS, max_age_ns=200 * MS, window_ns=50 * MS if name == "events" else 0)
        for name in names
    }
    defaults = {
        "anchors": tuple(names),
        "max_wait_ns": 50 * MS,
        "anchor_timeout_ns": 500 * MS,
        "anchor_period_ns": 40 * MS,
    }
    return DropTolerantSynchronizer({**policies, **(streams or {})}, SyncPolicy(**{**defaults, **policy}))


def rig(**changes):
    """Camera and depth 20 Hz, LiDAR 10 Hz, 100 event packets a second; dead=... per sensor."""
    sensors = {
        "camera": Sensor(50, lag=8),
        "depth": Sensor(50, lag=5),
        "events": Sensor(10, lag=1, packet=10),
        "lidar": Sensor(100, phase=3, lag=12),
    }
    for name, change in changes.items():
        sensors[name] = Sensor(**{**sensors[name].__dict__, **change})
    return sensors


def moment(match):
    return (match.stamp_ns - EPOCH) / MS


def pauses(fired, start, end):
    """Longest time between outputs within (start, end), its edges included."""
    times = [start, *(time for time, _ in fired if start < time < end), end]
    return max(later - earlier for earlier, later in pairwise(times))


def assert_increasing(fired):
    assert all(a.stamp_ns < b.stamp_ns for (_, a), (_, b) in pairwise(fired))


# What must hold when sensors die.


@pytest.mark.parametrize("death", [1000, 1004, 1009, 1025, 1046, 1055, 1077])
def test_dead_camera_pauses_the_output_no_longer_than_two_periods_plus_max_wait(death):
    fired = Drive(synchronizer()).run(rig(camera={"dead": ((death, 1e9),)}))

    assert pauses(fired, 500, 2950) <= 2 * 50 + 50
    assert_increasing(fired)
    after = [match for time, match in fired if death + 300 < time < 2950]
    assert len(after) == pytest.approx((2950 - death - 300) / 50, abs=1)
    assert all(match.anchor == "depth" and match.absent == {"camera": Absence.ABSENT} for match in after)
    assert all({"depth", "events", "lidar"} == set(match.items) for match in after)


@pytest.mark.parametrize("death", [1000, 1006, 1013, 1031, 1050, 1087, 1099])
def test_with_only_the_lidar_left_pauses_last_two_of_its_periods_plus_max_wait(death):
    dead = {"dead": ((death, 1e9),)}
    fired = Drive(synchronizer()).run(rig(camera=dead, depth=dead, events=dead))

    assert pauses(fired, 500, 2900) <= 2 * 100 + 50
    assert_increasing(fired)
    assert {match.anchor for time, match in fired if time > death + 400} == {"lidar"}


@pytest.mark.parametrize("second", [0, 20, 60, 120, 400])
def test_sensors_that_die_one_after_the_other_never_silence_the_output(second):
    fired = Drive(synchronizer()).run(
        rig(camera={"dead": ((1000, 1e9),)}, depth={"dead": ((1000 + second, 1e9),)}, lidar={"dead": ((1500, 1e9),)})
    )

    assert pauses(fired, 500, 2950) <= 2 * 50 + 50
    assert_increasing(fired)
    assert fired[-1][1].anchor == "events"


@pytest.mark.parametrize("alive", [c for n in range(1, 5) for c in combinations(NAMES, n)], ids="+".join)
def test_every_drop_pattern_from_the_start(alive):
    """All 15: outputs use exactly the living sensors and come at the rate of the best anchor that lives."""
    fired = Drive(synchronizer()).run({name: sensor for name, sensor in rig().items() if name in alive})

    settled = [(time, match) for time, match in fired if 1000 < time < 2950]
    period = {"events": 40, "lidar": 100}.get(alive[0], 50)
    assert pauses(settled, 1000, 2900) <= period + 50
    assert len(settled) == pytest.approx(1950 / period, abs=1)
    for _, match in settled:
        assert match.anchor == alive[0]
        assert set(match.items) == set(alive)
        assert match.absent == {name: Absence.NEVER_SEEN for name in NAMES if name not in alive}
    assert_increasing(fired)


@pytest.mark.parametrize("dying", [c for n in range(1, 4) for c in combinations(NAMES, n)], ids="+".join)
def test_every_drop_pattern_in_mid_stream_and_back(dying):
    dead = {"dead": ((1000, 2000),)}
    fired = Drive(synchronizer()).run(rig(**dict.fromkeys(dying, dead)))

    alive = tuple(name for name in NAMES if name not in dying)
    assert pauses(fired, 500, 2900) <= 2 * (100 if alive == ("lidar",) else 50) + 50
    assert_increasing(fired)
    during = [match for time, match in fired if 1500 < time < 2000]
    assert all(set(match.items) == set(alive) for match in during)
    assert all(match.absent == dict.fromkeys(dying, Absence.ABSENT) for match in during)
    after = [match for time, match in fired if 2400 < time < 2950]
    assert len(after) in {10, 11}
    assert all(match.anchor == "camera" and set(match.items) == set(NAMES) for match in after)


def test_one_lost_camera_message_is_stood_in_for_and_costs_no_other_frame():
    """Even with a camera far slower to arrive than its substitute, which could otherwise run ahead of it."""
    for lag in (1, 8, 40, 150):
        fired = Drive(synchronizer(max_wait_ns=20 * MS)).run(rig(camera={"lag": lag, "dead": ((1000, 1049),)}))
        moments = [(round(moment(match)), match.anchor) for _, match in fired if 900 < moment(match) < 1150]
        assert moments == [(950, "camera"), (1000, "depth"), (1050, "camera"), (1100, "camera")], lag


def test_latency_does_not_keep_growing_by_max_wait_after_a_drop():
    def latencies(fired, start):
        return [time - moment(match) for time, match in fired if start < time < 2950]

    healthy = latencies(Drive(synchronizer(max_wait_ns=200 * MS)).run(rig()), 500)
    dropped = latencies(Drive(synchronizer(max_wait_ns=200 * MS)).run(rig(depth={"dead": ((1000, 1e9),)})), 1300)
    assert max(dropped) <= max(healthy) <= 15


# Rates, jitter and lag.


def test_rates_of_10_30_and_100_hz_mix_without_added_latency():
    """The LiDAR serves several camera frames; none of them waits for a scan that is yet to be taken."""
    names = ("camera", "lidar", "imu")
    sync = synchronizer(names)
    fired = Drive(sync).run({"camera": Sensor(100 / 3, lag=5), "lidar": Sensor(100, lag=5), "imu": Sensor(10, lag=1)})

    settled = [(time, match) for time, match in fired if 500 < time < 2950]
    assert len(settled) == pytest.approx(2450 / (100 / 3), abs=1)
    assert all(set(match.items) == set(names) for _, match in settled)
    assert max(time - moment(match) for time, match in settled) <= 12
    assert {round(match.ages_ns["lidar"] / MS) for _, match in settled} == {0, 33, 67}
    assert all(abs(match.ages_ns["imu"]) <= 5 * MS for _, match in settled)


@pytest.mark.parametrize("lag", [150, 180])
def test_a_partner_that_is_late_by_many_periods_is_matched_one_to_one(lag):
    """message_filters with a queue of 10 finds one match in 100 here."""
    exact = StreamPolicy(slop_ns=2 * MS, max_age_ns=0)
    sync = synchronizer(("a", "b"), streams={"a": exact, "b": exact}, max_wait_ns=200 * MS)
    fired = Drive(sync).run({"a": Sensor(10, lag=1), "b": Sensor(10, lag=lag)})

    settled = [match for _, match in fired if 500 < moment(match) < 2800]
    assert len(settled) >= 229
    assert all(match.items["b"][0][1] == match.stamp_ns for match in settled)


def test_a_partner_that_cannot_come_within_the_slop_in_time_is_not_waited_for():
    exact = StreamPolicy(slop_ns=5 * MS, max_age_ns=300 * MS)
    sync = synchronizer(("a", "b"), streams={"a": exact, "b": exact}, max_wait_ns=100 * MS)
    fired = Drive(sync).run({"a": Sensor(50, lag=1), "b": Sensor(50, lag=250)})

    settled = [(time, match) for time, match in fired if 1000 < time < 2900]
    assert all(time - moment(match) < 2 for time, match in settled)
    assert all(match.ages_ns["b"] == 250 * MS for _, match in settled)


@pytest.mark.parametrize("seed", range(3))
def test_jitter_costs_neither_outputs_nor_partners(seed):
    changes = {"camera": {"jitter": 8}, "depth": {"jitter": 8}, "lidar": {"jitter": 15}}
    fired = Drive(synchronizer()).run(rig(**changes), seed=seed)

    settled = [(time, match) for time, match in fired if 500 < time < 2950]
    assert len(settled) == pytest.approx(49, abs=1)
    assert all(match.anchor == "camera" and set(match.items) == set(NAMES) for _, match in settled)
    assert all(abs(match.ages_ns["depth"]) <= 17 * MS for _, match in settled)
    assert_increasing(fired)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0])
def test_a_bag_played_at_another_speed_is_matched_alike(speed):
    """Stamps tick at the recorded rate, arrivals at the played one."""
    drive = Drive(synchronizer())
    rng = random.Random(0)  # noqa: S311
    messages = sorted(message for name, sensor in rig().items() for message in sensor.messages(name, 2000, rng))
    for arrival, name, stamp, last in messages:
        now = round(arrival / speed)
        drive.until(now)
        drive.note(BOOT + now, drive.sync.add(name, (name,), EPOCH + stamp, BOOT + now, EPOCH + last))
    settled = [match for _, match in drive.fired if 500 < moment(match) < 1900]
    assert len(settled) == 27
    assert all(match.anchor == "camera" and {"depth", "events", "lidar"} < set(match.items) for match in settled)


# Clocks gone wrong.


def shifted(sensors, name, start, stop, shift_ms):
    """Messages of a drive in which one sensor's stamps are shifted for a while."""
    rng = random.Random(0)  # noqa: S311
    for message in sorted(m for key, sensor in sensors.items() for m in sensor.messages(key, 3000, rng)):
        arrival, key, stamp, last = message
        offset = shift_ms * MS if key == name and start <= stamp / MS < stop else 0
        yield arrival, key, stamp + offset, last + offset


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [3600_000, -3600_000])
def test_stamps_an_hour_off_harm_only_their_own_sensor_and_heal(name, shift):
    drive = Drive(synchronizer())
    for arrival, key, stamp, last in shifted(rig(), name, 1000, 2000, shift):
        drive.until(arrival)
        drive.note(BOOT + arrival, drive.sync.add(key, key, EPOCH + stamp, BOOT + arrival, EPOCH + last))

    assert pauses(drive.fired, 500, 2950) <= 2 * 50 + 50
    during = [match for time, match in drive.fired if 1200 < time < 1990]
    wrong = Absence.LATE if shift > 0 else Absence.STALE
    for match in during:
        if name == "camera":  # alone, as nothing else is of its time
            assert set(match.items) == {"camera"}
        else:
            assert match.absent == {name: wrong}
    assert len(during) == pytest.approx(16, abs=1)
    after = [match for time, match in drive.fired if 2150 < time < 2950]
    assert len(after) == pytest.approx(16, abs=1)
    assert all(match.anchor == "camera" and set(match.items) == set(NAMES) for match in after)
    assert drive.sync.jumps == 1


def test_a_camera_that_dies_with_its_stamps_an_hour_ahead_is_replaced_all_the_same():
    drive = Drive(synchronizer())
    sensors = rig(camera={"dead": ((1500, 1e9),)})
    for arrival, key, stamp, last in shifted(sensors, "camera", 1000, 2000, 3600_000):
        drive.until(arrival)
        drive.note(BOOT + arrival, drive.sync.add(key, key, EPOCH + stamp, BOOT + arrival, EPOCH + last))

    assert pauses(drive.fired, 1600, 2950) <= 50 + 50
    assert all(match.anchor == "depth" for time, match in drive.fired if time > 1700)
    assert drive.sync.jumps == 1


def test_a_sensor_whose_stamps_leap_to_and_fro_does_not_stop_the_others():
    drive = Drive(synchronizer())
    messages = list(shifted(rig(), "lidar", 0, 0, 0))
    for arrival, key, stamp, last in messages:
        wild = 5000 * MS * (key == "lidar" and stamp // (100 * MS) % 2)
        drive.until(arrival)
        drive.note(BOOT + arrival, drive.sync.add(key, key, EPOCH + stamp + wild, BOOT + arrival, EPOCH + last + wild))
    settled = [match for time, match in drive.fired if 500 < time < 2950]
    assert len(settled) == pytest.approx(49, abs=1)
    assert all(match.anchor == "camera" for match in settled)


def test_a_bag_that_loops_goes_on_with_the_first_message():
    drive = Drive(synchronizer())
    rng = random.Random(0)  # noqa: S311
    messages = sorted(m for name, sensor in rig().items() for m in sensor.messages(name, 2000, rng))
    for loop in range(3):
        for arrival, name, stamp, last in messages:
            now = arrival + loop * 2030 * MS
            drive.until(now)
            drive.note(BOOT + now, drive.sync.add(name, name, EPOCH + stamp, BOOT + now, EPOCH + last))
    assert pauses(drive.fired, 500, 6000) <= 2 * 50 + 50
    assert drive.sync.jumps == 2
    moments = [round(moment(match)) for _, match in drive.fired]
    assert moments.count(0) == 3
    assert moments.count(1950) == 3
    assert sum(b <= a for a, b in pairwise(moments)) == 2


# Side by side with the rule of message_filters.


class AllInputs:
    """The rule of message_filters' ApproximateTimeSynchronizer: every queue must hold a stamp within the slop.

    Modelled after its observed behaviour: the newest message is combined with the nearest of every other queue, the
    span of the set must be strictly below the slop, queues are bounded by count and lose their smallest stamp.
    """

    def __init__(self, names, size, slop):
        self.queues = {name: {} for name in names}
        self.size, self.slop = size, slop

    def add(self, name, stamp):
        self.queues[name][stamp] = stamp
        while len(self.queues[name]) > self.size:
            del self.queues[name][min(self.queues[name])]
        if stamp not in self.queues[name]:
            return None
        near = [
            sorted((other for other in queue if abs(other - stamp) <= self.slop), key=lambda other: abs(other - stamp))
            for key, queue in self.queues.items()
            if key != name
        ]
        for others in product(*near):
            chosen = [stamp, *others]
            if max(chosen) - min(chosen) < self.slop:
                order = [key for key in self.queues if key != name]
                del self.queues[name][stamp]
                for key, other in zip(order, others, strict=True):
                    del self.queues[key][other]
                return chosen
        return None


def test_where_one_input_stops_the_all_inputs_rule_falls_silent_and_ours_goes_on():
    """The measured baseline: 3 inputs, the third stops after 10 of 30 messages, exactly 10 sets."""
    names = ("a", "b", "c")
    plain = AllInputs(names, 10, 50 * MS)
    drive = Drive(synchronizer(names))
    outputs = 0
    for index in range(30):
        for name in names[: 3 if index < 10 else 2]:
            stamp = index * 100 * MS
            drive.until(stamp)
            outputs += plain.add(name, stamp) is not None
            drive.note(BOOT + stamp, drive.sync.add(name, name, EPOCH + stamp, BOOT + stamp))
    drive.until(4 * S)
    assert outputs == 10
    # The first message opens a set when nobody knows yet of the others; a message of c serves for max_age, 200 ms.
    assert [len(match.items) for _, match in drive.fired] == [1] + [3] * 11 + [2] * 18


def test_after_a_loop_the_all_inputs_rule_stays_silent_and_ours_goes_on():
    names = ("a", "b")
    plain = AllInputs(names, 5, 50 * MS)
    drive = Drive(synchronizer(names))
    outputs = {"before": 0, "after": 0}
    for index in range(110):
        now, stamp = index * 100 * MS, index % 60 * 100 * MS
        # From 50 on b is silent; the queue of a fills with stamps that lie in the future once the bag begins anew.
        for name in names if not 50 <= index < 60 else "a":
            drive.until(now)
            outputs["before" if index < 60 else "after"] += plain.add(name, EPOCH + stamp) is not None
            drive.note(BOOT + now, drive.sync.add(name, name, EPOCH + stamp, BOOT + now))
    drive.until(13 * S)
    assert outputs == {"before": 50, "after": 0}
    assert len(drive.fired) == 60 + 50


# Any drive.


@st.composite
def drives(draw):
    sensors = {}
    for name in NAMES:
        period = draw(st.sampled_from([10, 20, 33, 50, 100]))
        deaths = draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(50, 1500)), max_size=3))
        sensors[name] = Sensor(
            period,
            phase=draw(st.integers(0, period - 1)),
            lag=draw(st.integers(0, 40)),
            dead=tuple((start, start + length) for start, length in deaths),
            jitter=draw(st.sampled_from([0, period * 0.1])),
            packet=period if name == "events" else 0,
        )
    return sensors, draw(st.integers(0, 99))


@settings(max_examples=60, deadline=None)
@given(drives())
def test_any_drive_keeps_the_promises(drive):
    sensors, seed = drive
    sync = synchronizer()
    fired = Drive(sync).run(sensors, end=4000, seed=seed)

    assert_increasing(fired)
    assert sync.jumps == 0
    for _, match in fired:
        assert set(match.items) | set(match.absent) == set(NAMES)
        assert not set(match.items) & set(match.absent)
        assert (match.anchor, match.stamp_ns) == match.items[match.anchor][-1][:2]
        time_ns = match.windows_ns["events"][1] if "events" in match.windows_ns else None
        for name, items in match.items.items():
            if name == "events":
                start, end = match.windows_ns[name]
                assert end - start == 50 * MS
                assert all(last > start and stamp <= end for _, stamp, last in items)
            else:
                reference = match.stamp_ns if match.anchor != "events" else time_ns
                assert match.ages_ns[name] == reference - items[0][1]
                assert -50 * MS <= match.ages_ns[name] <= 200 * MS
    assert_no_silence_while_one_lives(sensors, fired)


def assert_no_silence_while_one_lives(sensors, fired):
    """No pause exceeds anchor_timeout + two periods of the slowest + max_wait while some sensor lives throughout."""
    limit = 500 + 2 * max(sensor.period for sensor in sensors.values()) + 50
    alive_from = defaultdict(list)
    for name, sensor in sensors.items():
        edges = sorted(sensor.dead)
        start = 0
        for begin, stop in edges:
            if begin > start:
                alive_from[name].append((start, min(begin, 3900)))
            start = max(start, stop)
        alive_from[name].append((start, 3900))
    for spans in alive_from.values():
        for start, stop in spans:
            if stop - start > limit:
                assert pauses(fired, start, stop) <= limit


def test_a_backlog_worked_off_after_a_stall_never_turns_the_outputs_back():
    """The executor stood still for 3 s: the camera's short queue kept its newest, the events' long one everything."""
    sync = synchronizer()
    drive = Drive(sync)
    drive.run({name: sensor for name, sensor in rig().items() if name in ("camera", "events")}, end=2000)
    wake = BOOT + 5500 * MS
    camera = [("camera", stamp) for stamp in range(5250, 5500, 50)]
    events = [("events", stamp) for stamp in range(2000, 5490, 10)]
    for index, (name, stamp) in enumerate([*camera[:1], *events, *camera[1:]]):
        now, stamp_ns = wake + index * 10_000, EPOCH + stamp * MS
        drive.note(now, sync.add(name, (name, stamp_ns, stamp_ns), stamp_ns, now, stamp_ns + 10 * MS))
    drive.until(7000 * MS)

    assert_increasing(drive.fired)
    assert moment(drive.fired[-1][1]) >= 5450
