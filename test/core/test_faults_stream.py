# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for any script and any stream: order, nothing invented, nothing lost outside a fault, repeatability."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.faults import KINDS, Arrival, FaultScript
from any2seg_core.frames import Events, Modality, Points, SensorFrame

MS = 1_000_000
SENSORS = ("rgb", "depth", "event", "lidar")
QUICK = settings(max_examples=40, deadline=None)


def data_of(sensor, rng, stamp):
    if sensor == "rgb":
        return rng.integers(0, 256, (6, 8, 3), np.uint8)
    if sensor == "depth":
        return rng.uniform(1, 9, (6, 8)).astype(np.float32)
    if sensor == "lidar":
        return Points(rng.uniform(-9, 9, (12, 3)).astype(np.float32), rng.uniform(0, 1, 12).astype(np.float32))
    columns = (rng.integers(0, 6, 5).astype("u2"), rng.integers(0, 6, 5).astype("u2"), np.ones(5, np.uint8))
    return Events(*columns, stamp - np.arange(4, -1, -1) * MS, 8, 6)


@st.composite
def streams(draw):
    """Arrivals of all sensors in order, with equal moments among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    now, out = 10**18, []
    for index, (gap, sensor) in enumerate(draw(st.lists(st.tuples(st.integers(0, 90), st.sampled_from(SENSORS))))):
        now += gap * MS
        stamp = now - 4 * MS if sensor == "event" else now
        frame = SensorFrame(Modality(sensor), stamp, sensor, data_of(sensor, rng, now), end_ns=now)
        columns = {"ring": np.arange(12)} if sensor == "lidar" else {}
        out.append(Arrival(now, frame, index, columns))
    return out


@st.composite
def faults(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    sensor = draw(st.sampled_from([name for name in SENSORS if name in KINDS[kind].sensors]))
    start = draw(st.integers(0, 20)) / 10
    return {"kind": kind, "sensor": sensor, "start_s": start, "duration_s": draw(st.integers(1, 20)) / 10}


scripts = st.builds(
    lambda seed, found: FaultScript.from_mapping({"seed": seed, "faults": found}),
    st.integers(0, 9),
    st.lists(faults(), max_size=4),
)


def content(arrival):
    data = arrival.frame.data
    parts = [data] if isinstance(data, np.ndarray) else list(vars(data).values())
    arrays = tuple(np.asarray(part).tobytes() for part in parts)
    columns = tuple((name, column.tobytes()) for name, column in arrival.columns.items())
    frame = arrival.frame
    return arrival.arrival_ns, arrival.tag, frame.stamp_ns, frame.end_ns, frame.modality, arrays, columns


@given(streams(), scripts)
@QUICK
def test_order_and_accounts(arrivals, script):
    run = script.run()
    left = list(run.apply(arrivals))
    times = [arrival.arrival_ns for arrival in left]
    assert times == sorted(times)
    # Nothing is invented: each frame stands for another one that came, by then, from the same sensor.
    assert len({arrival.tag for arrival in left}) == len(left)
    for arrival in left:
        source = arrivals[arrival.tag]
        assert arrival.arrival_ns >= source.arrival_ns
        assert arrival.frame.modality is source.frame.modality
    assert len(left) == len(arrivals) - sum(count.lost for count in run.report())
    assert all(count.lost + count.changed <= count.seen for count in run.report())


@given(streams(), scripts)
@QUICK
def test_outside_of_faults_nothing_happens(arrivals, script):
    left = {arrival.tag: arrival for arrival in script.apply(arrivals)}
    for arrival in arrivals:
        moment = arrival.arrival_ns - arrivals[0].arrival_ns
        sensor = arrival.frame.modality.value
        inside = [f for f in script.faults if f.sensor == sensor and f.holds_at(moment)]
        if not inside:
            assert left[arrival.tag] is arrival
        if any(fault.kind == "dropout" for fault in inside):
            assert arrival.tag not in left


@given(streams(), scripts, st.data())
@QUICK
def test_the_same_again_however_the_stream_is_cut(arrivals, script, data):
    whole = [content(arrival) for arrival in script.apply(arrivals)]
    run, pieces = script.run(), []
    cut = data.draw(st.integers(0, len(arrivals)))
    for part in (arrivals[:cut], arrivals[cut:]):
        for arrival in part:
            pieces += run.push(arrival)
            # By the next moment nothing may be held back that has arrived.
            assert all(waiting[0] > arrival.arrival_ns for waiting in run._waiting)
    assert [content(arrival) for arrival in [*pieces, *run.flush()]] == whole


@given(streams(), scripts)
@QUICK
def test_one_sensor_does_not_depend_on_the_others(arrivals, script):
    start_ns = 10**18
    for sensor in SENSORS:
        alone = [arrival for arrival in arrivals if arrival.frame.modality.value == sensor]
        among = [content(a) for a in script.apply(arrivals, start_ns) if a.frame.modality.value == sensor]
        assert [content(a) for a in script.apply(alone, start_ns)] == among


@given(streams(), scripts)
@QUICK
def test_what_came_in_is_not_written_to(arrivals, script):
    before = [content(arrival) for arrival in arrivals]
    list(script.apply(arrivals))
    assert [content(arrival) for arrival in arrivals] == before


def test_chance_of_a_fault_does_not_depend_on_faults_before_it():
    rng = np.random.default_rng(0)
    frames = [SensorFrame(Modality.RGB, index * MS, "rgb", data_of("rgb", rng, 0)) for index in range(200)]
    arrivals = [Arrival(frame.stamp_ns, frame, index) for index, frame in enumerate(frames)]
    loss = {"sensor": "rgb", "kind": "packet_loss"}

    def lost_by(first):
        script = FaultScript.from_mapping({"faults": [first, loss]})
        return set(range(200)) - {arrival.tag for arrival in script.apply(arrivals)}

    thin = {"sensor": "rgb", "kind": "low_rate", "keep_each": 2}
    nothing = {"sensor": "depth", "kind": "dropout"}
    assert {tag for tag in lost_by(thin) if tag % 2 == 0} == {tag for tag in lost_by(nothing) if tag % 2 == 0}
