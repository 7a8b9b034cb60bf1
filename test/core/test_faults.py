# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Each kind of fault on small streams made by hand: what survives, and what it looks like."""

import math

import numpy as np
import pytest

from any2seg_core.errors import FrameError
from any2seg_core.faults import Arrival, FaultScript
from any2seg_core.frames import Events, Modality, Points, SensorFrame

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
H, W = 6, 8


def data_of(sensor, index):
    """A frame's content, different for each index."""
    if sensor == "rgb":
        return np.full((H, W, 3), (10 + index) % 256, np.uint8)
    if sensor == "depth":
        return np.full((H, W), 1.0 + index, np.float32)
    if sensor == "lidar":
        angle = np.radians(np.arange(0, 360, 45))
        xyz = (5.0 + index) * np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
        return Points(xyz.astype(np.float32), np.arange(8, dtype=np.float32))
    stamp = START_NS + 100 * MS * index
    t_ns = stamp + np.arange(4, dtype=np.int64) * 10 * MS
    x = np.arange(4, dtype=np.uint16)
    return Events(x, x, np.ones(4, np.uint8), t_ns, W, H)


def stream(sensor="rgb", count=10, period_ms=100):
    """Frames number 0, 1, ... that arrive 100 ms apart, 5 ms after their stamp (events: after their last event)."""
    out = []
    for index in range(count):
        stamp = START_NS + index * period_ms * MS
        end = stamp + (30 * MS if sensor == "event" else 0)
        frame = SensorFrame(Modality(sensor), stamp, sensor, data_of(sensor, index), end_ns=end)
        columns = {"ring": np.arange(8, dtype=np.uint16)} if sensor == "lidar" else {}
        out.append(Arrival(end + 5 * MS, frame, index, columns))
    return out


def script(*faults, **rest):
    return FaultScript.from_mapping({"faults": list(faults), **rest})


def run(fault, arrivals, **rest):
    """What is left, and the fault's (seen, changed, lost)."""
    began = script(fault, **rest).run(arrivals[0].arrival_ns)
    left = list(began.apply(arrivals))
    (count,) = began.report()
    return left, (count.seen, count.changed, count.lost)


def tags(arrivals):
    return [arrival.tag for arrival in arrivals]


def test_dropout_takes_the_start_and_leaves_the_end():
    arrivals = stream()
    left, counts = run({"sensor": "rgb", "kind": "dropout", "start_s": 0.2, "end_s": 0.5}, arrivals)
    assert tags(left) == [0, 1, 5, 6, 7, 8, 9]
    assert counts == (3, 0, 3)
    assert all(a is arrivals[a.tag] for a in left)


def test_a_duration_ends_where_a_sum_of_floats_would_not():
    # 0.1 + 0.2 > 0.3 in floating point, so the frame at 0.3 s would wrongly be lost too.
    left, counts = run({"sensor": "rgb", "kind": "dropout", "start_s": 0.1, "duration_s": 0.2}, stream())
    assert tags(left) == [0, 3, 4, 5, 6, 7, 8, 9]
    assert counts == (2, 0, 2)


def test_without_an_end_a_fault_lasts():
    left, _ = run({"sensor": "rgb", "kind": "dropout", "start_s": 0.7}, stream())
    assert tags(left) == list(range(7))


def test_times_count_from_the_start_given_or_the_first_arrival():
    fault = {"sensor": "rgb", "kind": "dropout", "start_s": 0.2, "end_s": 0.3}
    arrivals = stream()
    assert tags(script(fault).apply(arrivals)) == [0, 1, 3, 4, 5, 6, 7, 8, 9]
    earlier = arrivals[0].arrival_ns - 100 * MS
    assert tags(script(fault).apply(arrivals, earlier)) == [0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_other_sensors_are_left_alone():
    arrivals = stream("depth")
    left, counts = run({"sensor": "rgb", "kind": "dropout"}, arrivals)
    assert left == arrivals
    assert counts == (0, 0, 0)


def test_freeze_repeats_the_last_frame_from_before_with_new_stamps():
    arrivals = stream()
    left, counts = run({"sensor": "rgb", "kind": "freeze", "start_s": 0.3, "end_s": 0.6}, arrivals)
    assert tags(left) == list(range(10))
    assert [int(a.frame.data[0, 0, 0]) for a in left] == [10, 11, 12, 12, 12, 12, 16, 17, 18, 19]
    assert [a.frame.stamp_ns for a in left] == [a.frame.stamp_ns for a in arrivals]
    assert [a.arrival_ns for a in left] == [a.arrival_ns for a in arrivals]
    assert counts == (3, 3, 0)


def test_freeze_with_old_stamps_sends_the_very_same_frame():
    arrivals = stream("lidar", 5)
    left, _ = run({"sensor": "lidar", "kind": "freeze", "start_s": 0.2, "end_s": 0.4, "stamps": "old"}, arrivals)
    assert [a.frame for a in left] == [arrivals[index].frame for index in (0, 1, 1, 1, 4)]
    assert [a.columns for a in left] == [arrivals[index].columns for index in (0, 1, 1, 1, 4)]
    assert [a.arrival_ns for a in left] == [a.arrival_ns for a in arrivals]


def test_freeze_from_the_start_repeats_the_first_frame():
    left, counts = run({"sensor": "rgb", "kind": "freeze", "end_s": 0.3}, stream(count=4))
    assert [int(a.frame.data[0, 0, 0]) for a in left] == [10, 10, 10, 13]
    assert counts == (3, 2, 0)


def test_frozen_events_come_at_new_times():
    arrivals = stream("event", 3)
    left, _ = run({"sensor": "event", "kind": "freeze", "start_s": 0.2}, arrivals)
    np.testing.assert_array_equal(left[2].frame.data.t_ns, arrivals[1].frame.data.t_ns + 100 * MS)
    assert (left[2].frame.stamp_ns, left[2].frame.end_ns) == (arrivals[2].frame.stamp_ns, arrivals[2].frame.end_ns)


def test_latency_delays_arrivals_and_nothing_else():
    arrivals = stream(count=5)
    left, counts = run({"sensor": "rgb", "kind": "latency", "start_s": 0.1, "end_s": 0.3, "delay_s": 0.25}, arrivals)
    # Frames 1 and 2 now arrive at 0.35 s and 0.45 s: after 3 at 0.3 s and 4 at 0.4 s.
    assert tags(left) == [0, 3, 1, 4, 2]
    since = [a.arrival_ns - arrivals[0].arrival_ns for a in left]
    assert since == [0, 300 * MS, 350 * MS, 400 * MS, 450 * MS]
    assert all(a.frame is arrivals[a.tag].frame for a in left)
    assert counts == (2, 2, 0)


def test_a_late_frame_that_meets_a_new_one_comes_first():
    left, _ = run({"sensor": "rgb", "kind": "latency", "end_s": 0.1, "delay_s": 0.2}, stream(count=3))
    assert tags(left) == [1, 0, 2]


def test_jitter_stays_within_its_bounds_and_is_spread():
    arrivals = stream(count=400, period_ms=1)
    fault = {"sensor": "rgb", "kind": "latency", "delay_s": 0.1, "jitter_s": 0.2}
    left, _ = run(fault, arrivals)
    late = np.array([a.arrival_ns - arrivals[a.tag].arrival_ns for a in left]) / 1e9
    assert 0.1 <= late.min() < 0.11
    assert 0.29 < late.max() <= 0.3
    assert late.mean() == pytest.approx(0.2, abs=0.01)
    assert tags(left) != list(range(400))


def test_no_latency_changes_nothing():
    left, counts = run({"sensor": "rgb", "kind": "latency", "delay_s": 0.0}, stream())
    assert tags(left) == list(range(10))
    assert counts == (10, 0, 0)


@pytest.mark.parametrize("sensor", ["rgb", "event"])
def test_wrong_stamps_leave_arrivals_right(sensor):
    arrivals = stream(sensor, 4)
    fault = {"sensor": sensor, "kind": "stamp_offset", "start_s": 0.1, "end_s": 0.3, "offset_s": -0.02}
    left, counts = run(fault, arrivals)
    assert [a.arrival_ns for a in left] == [a.arrival_ns for a in arrivals]
    by = [0, -20 * MS, -20 * MS, 0]
    assert [a.frame.stamp_ns - b.frame.stamp_ns for a, b in zip(left, arrivals, strict=True)] == by
    assert [a.frame.end_ns - b.frame.end_ns for a, b in zip(left, arrivals, strict=True)] == by
    if sensor == "event":
        np.testing.assert_array_equal(left[1].frame.data.t_ns, arrivals[1].frame.data.t_ns - 20 * MS)
    assert counts == (2, 2, 0)


def test_stamps_never_fall_below_zero():
    frame = SensorFrame(Modality.RGB, 5, "rgb", data_of("rgb", 0))
    (left,) = script({"sensor": "rgb", "kind": "stamp_offset", "offset_s": -1.0}).apply([Arrival(7, frame)])
    assert (left.frame.stamp_ns, left.frame.end_ns, left.arrival_ns) == (0, 0, 7)


def test_packet_loss_loses_its_share_by_the_seed():
    arrivals = stream(count=1000, period_ms=1)
    fault = {"sensor": "rgb", "kind": "packet_loss", "start_s": 0.2, "share": 0.3}
    left, counts = run(fault, arrivals, seed=3)
    assert tags(left)[:200] == list(range(200))
    assert counts == (800, 0, 1000 - len(left))
    # The standard deviation of a binomial with 800 draws of 0.3 is 13.
    assert abs(counts[2] - 240) < 4 * 13
    assert tags(run(fault, arrivals, seed=3)[0]) == tags(left)
    assert tags(run(fault, arrivals, seed=4)[0]) != tags(left)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 10), (1.0, 0)])
def test_packet_loss_of_nothing_and_of_all(share, expected):
    assert len(run({"sensor": "rgb", "kind": "packet_loss", "share": share}, stream())[0]) == expected


def test_low_rate_keeps_each_nth_of_the_fault():
    left, counts = run({"sensor": "rgb", "kind": "low_rate", "start_s": 0.2, "end_s": 0.9, "keep_each": 3}, stream())
    assert tags(left) == [0, 1, 2, 5, 8, 9]
    assert counts == (7, 0, 4)


def test_a_script_that_repeats_starts_over():
    fault = {"sensor": "rgb", "kind": "low_rate", "start_s": 0.1, "end_s": 0.4, "keep_each": 2}
    # Of each half second the frames 1, 2, 3 are in the fault, and 2 is lost.
    assert tags(run(fault, stream(), repeat_s=0.5)[0]) == [0, 1, 3, 4, 5, 6, 8, 9]


def test_blank_sends_frames_with_nothing_in_them():
    for sensor, is_blank in (
        ("rgb", lambda data: data.shape == (H, W, 3) and data.dtype == np.uint8 and not data.any()),
        ("depth", lambda data: data.shape == (H, W) and data.dtype == np.float32 and np.isnan(data).all()),
        ("lidar", lambda data: data.xyz.shape == (0, 3)),
        ("event", lambda data: len(data) == 0 and (data.width, data.height) == (W, H)),
    ):
        arrivals = stream(sensor, 3)
        left, counts = run({"sensor": sensor, "kind": "blank", "start_s": 0.1, "end_s": 0.2}, arrivals)
        assert [is_blank(a.frame.data) for a in left] == [False, True, False], sensor
        assert [a.frame.stamp_ns for a in left] == [a.frame.stamp_ns for a in arrivals]
        assert counts == (1, 1, 0)
    assert len(run({"sensor": "lidar", "kind": "blank"}, stream("lidar", 1))[0][0].columns["ring"]) == 0


def picture(height, width):
    return np.random.default_rng(0).integers(60, 256, (height, width, 3), np.uint8)


def soiled_frames(sensor, data, **fault):
    frames = [SensorFrame(Modality(sensor), START_NS + index, "camera", item) for index, item in enumerate(data)]
    arrivals = [Arrival(frame.stamp_ns, frame) for frame in frames]
    return [a.frame.data for a in script({"sensor": sensor, "kind": "dirt", **fault}, seed=5).apply(arrivals)]


def test_dirt_darkens_and_blurs_a_fixed_part_of_the_picture():
    clean = [picture(60, 80), picture(60, 80)[::-1].copy()]
    dirty = soiled_frames("rgb", clean, blobs=3, radius=0.2, opacity=1.0)
    touched = [(a != b).any(-1) for a, b in zip(clean, dirty, strict=True)]
    # Where the blobs sit does not change; only at their faint rims may rounding hide them from one of the pictures.
    assert (touched[0] != touched[1]).mean() < 0.03
    assert 0.05 < touched[0].mean() < 0.8
    black = (dirty[0] == [38, 31, 24]).all(-1)
    assert 0.02 < black.mean() < touched[0].mean()
    assert dirty[0].dtype == np.uint8
    np.testing.assert_array_equal(dirty[0][~touched[0]], clean[0][~touched[0]])


def test_dirt_sits_at_the_same_place_for_camera_depth_and_events():
    opaque = (soiled_frames("rgb", [np.full((60, 80, 3), 255, np.uint8)], opacity=1.0)[0][..., 0] - 38.0) / (255 - 38)
    depth = soiled_frames("depth", [np.full((60, 80), 7.0, np.float32)], opacity=1.0)[0]
    np.testing.assert_array_equal(np.isnan(depth), opaque < 0.499)
    assert np.nanmin(depth) == np.nanmax(depth) == 7.0
    y, x = np.divmod(np.arange(60 * 80), 80)
    t_ns = np.full(60 * 80, START_NS, np.int64)
    events = Events(x.astype(np.uint16), y.astype(np.uint16), np.ones(60 * 80, np.uint8), t_ns, 80, 60)
    seen = np.zeros((60, 80), bool)
    left = soiled_frames("event", [events], opacity=1.0)[0]
    seen[left.y, left.x] = True
    np.testing.assert_array_equal(seen, ~np.isnan(depth))


def test_thin_dirt_leaves_depth_alone():
    assert not np.isnan(soiled_frames("depth", [np.ones((30, 40), np.float32)], opacity=0.4)[0]).any()


def test_noise_of_a_picture_has_the_spread_asked_for():
    grey = np.full((100, 100, 3), 128, np.uint8)
    frames = [SensorFrame(Modality.RGB, START_NS + index, "rgb", grey) for index in range(2)]
    fault = {"sensor": "rgb", "kind": "noise", "sigma_grey": 10.0}
    first, second = (a.frame.data for a in script(fault).apply([Arrival(f.stamp_ns, f) for f in frames]))
    assert first.dtype == np.uint8
    assert (first.astype(float) - 128).std() == pytest.approx(10, rel=0.03)
    assert first.astype(float).mean() == pytest.approx(128, abs=0.3)
    assert (first != second).mean() > 0.9


def test_noise_of_depth_is_metres_and_keeps_holes():
    depth = np.full((100, 100), 5.0, np.float32)
    depth[:10] = np.nan
    frame = SensorFrame(Modality.DEPTH, START_NS, "depth", depth)
    (left,) = script({"sensor": "depth", "kind": "noise", "sigma_m": 0.2}).apply([Arrival(START_NS, frame)])
    np.testing.assert_array_equal(np.isnan(left.frame.data), np.isnan(depth))
    assert left.frame.data.dtype == np.float32
    assert np.nanstd(left.frame.data) == pytest.approx(0.2, rel=0.05)


def test_noise_never_makes_depth_that_is_not_above_zero():
    frame = SensorFrame(Modality.DEPTH, START_NS, "depth", np.full((50, 50), 0.1, np.float32))
    (left,) = script({"sensor": "depth", "kind": "noise", "sigma_m": 5.0}).apply([Arrival(START_NS, frame)])
    assert np.nanmin(left.frame.data) > 0
    assert 0.3 < np.isnan(left.frame.data).mean() < 0.7


def test_noise_of_points_lies_along_their_rays():
    direction = np.random.default_rng(0).standard_normal((2000, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    points = Points((20 * direction).astype(np.float32), np.zeros(2000, np.float32))
    frame = SensorFrame(Modality.LIDAR, START_NS, "lidar", points)
    (left,) = script({"sensor": "lidar", "kind": "noise", "sigma_m": 0.5}).apply([Arrival(START_NS, frame)])
    distance = np.linalg.norm(left.frame.data.xyz, axis=1)
    assert (distance - 20).std() == pytest.approx(0.5, rel=0.1)
    np.testing.assert_allclose(left.frame.data.xyz / distance[:, None], direction, atol=1e-5)


def test_noise_of_events_adds_false_ones_in_order():
    size = {"width": 100, "height": 50}
    true = Events(*(np.zeros(3, t) for t in ("u2", "u2", "u1")), START_NS + np.array([0, 5, 9]) * MS, **size)
    frame = SensorFrame(Modality.EVENT, START_NS, "event", true, end_ns=START_NS + 100 * MS)
    fault = {"sensor": "event", "kind": "noise", "events_hz": 2.0}
    (left,) = script(fault).apply([Arrival(frame.end_ns, frame)])
    events = left.frame.data
    # 2 events per pixel and second, 5000 pixels, 0.1 s: 1000 with a standard deviation of 32.
    assert abs(len(events) - 3 - 1000) < 4 * 32
    assert np.all(np.diff(events.t_ns) >= 0)
    assert frame.stamp_ns <= events.t_ns[0] <= events.t_ns[-1] <= frame.end_ns
    assert events.x.max() > 90
    assert events.y.max() > 40
    assert events.x.dtype == np.uint16
    assert set(events.polarity) == {0, 1}


@pytest.mark.parametrize(
    ("from_deg", "to_deg", "kept"),
    [
        (-45.0, 45.0, [1, 2, 3, 4, 5, 6]),  # -45 itself is gone, 45 stays
        (45.0, -45.0, [0, 7]),  # counter-clockwise through the back
        (170.0, 190.0, [0, 1, 2, 3, 5, 6, 7]),
        (0.0, 360.0, []),
        (10.0, 20.0, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_sector_loss_takes_an_azimuth_range(from_deg, to_deg, kept):
    # Exact azimuths: float32 cosines would put 45 degrees on either side.
    xy = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    points = Points(np.array([(x, y, 0.3) for x, y in xy], np.float32), np.arange(8, dtype=np.float32))
    frame = SensorFrame(Modality.LIDAR, START_NS, "lidar", points)
    arrival = Arrival(START_NS, frame, columns={"ring": np.arange(8, dtype=np.uint16)})
    began = script({"sensor": "lidar", "kind": "sector_loss", "from_deg": from_deg, "to_deg": to_deg}).run()
    (left,) = began.apply([arrival])
    np.testing.assert_array_equal(left.frame.data.intensity, kept)
    np.testing.assert_array_equal(left.columns["ring"], kept)
    np.testing.assert_array_equal(left.frame.data.xyz, points.xyz[kept])
    assert began.report()[0].changed == (len(kept) < 8)


@pytest.mark.parametrize(
    ("fault", "repeat_s", "expected"),
    [
        ({"start_s": 1.0, "end_s": 2.5}, 0.0, [(1.0, 2.5)]),
        ({"start_s": 1.0}, 0.0, [(1.0, 7.0)]),
        ({"start_s": 8.0}, 0.0, []),
        ({"start_s": 1.0, "duration_s": 0.5}, 3.0, [(1.0, 1.5), (4.0, 4.5)]),
        ({"start_s": 2.0}, 3.0, [(2.0, 3.0), (5.0, 6.0)]),
        ({"start_s": 0.5}, 3.0, [(0.5, 3.0), (3.5, 6.0), (6.5, 7.0)]),
    ],
)
def test_a_script_says_when_a_fault_acts(fault, repeat_s, expected):
    one = script({"sensor": "rgb", "kind": "dropout", **fault}, repeat_s=repeat_s)
    assert one.spans_s(one.faults[0], 7.0) == expected


def test_faults_act_in_the_order_of_the_script():
    faults = [
        {"sensor": "rgb", "kind": "blank", "start_s": 0.2, "end_s": 0.3},
        {"sensor": "rgb", "kind": "freeze", "start_s": 0.3, "end_s": 0.5},
        {"sensor": "rgb", "kind": "dropout", "start_s": 0.4},
    ]
    began = script(*faults).run()
    left = list(began.apply(stream(count=6)))
    assert [int(a.frame.data[0, 0, 0]) for a in left] == [10, 11, 0, 0]
    assert [(c.seen, c.changed, c.lost) for c in began.report()] == [(1, 1, 0), (2, 2, 0), (2, 0, 2)]


def test_a_fault_sees_only_what_earlier_ones_left():
    faults = [
        {"sensor": "rgb", "kind": "dropout", "end_s": 0.5},
        {"sensor": "rgb", "kind": "packet_loss", "share": 1.0},
    ]
    began = script(*faults).run()
    assert list(began.apply(stream())) == []
    assert [(c.seen, c.lost) for c in began.report()] == [(5, 5), (5, 5)]
    assert str(began.report()[0]) == "rgb dropout from 0 s to 0.5 s: 5 frames seen, 0 changed, 5 lost"
    assert str(began.report()[1]) == "rgb packet_loss from 0 s on: 5 frames seen, 0 changed, 5 lost"
    assert math.isinf(began.report()[1].fault.until_s)


def test_arrivals_out_of_order_are_refused():
    began = script().run()
    first, second = stream(count=2)
    began.push(second)
    with pytest.raises(FrameError, match=r"found an arrival at \d+ ns after one at \d+ ns, expected them in order"):
        began.push(first)


def test_columns_need_a_row_per_point():
    (arrival,) = stream("lidar", 1)
    with pytest.raises(FrameError, match="found 8 points and columns ring, expected one row of a column per point"):
        Arrival(0, arrival.frame, columns={"ring": np.zeros(7)})
    with pytest.raises(FrameError, match="found no points and columns ring"):
        Arrival(0, stream("rgb", 1)[0].frame, columns={"ring": np.zeros(7)})
