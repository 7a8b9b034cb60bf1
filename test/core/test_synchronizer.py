# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The synchronizer's rules, one at a time, on stamps written by hand (milliseconds; the steady clock is far off)."""

import numpy as np
import pytest

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import Absence, Events, Modality, SensorFrame
from any2seg_core.synchronizer import DropTolerantSynchronizer, Match, StreamPolicy, StreamState, SyncPolicy, frame_set

MS = 1_000_000
EPOCH = 1_700_000_000_000 * MS
BOOT = 77 * MS


class Bench:
    """A synchronizer that speaks milliseconds; items are (key, stamp in ms)."""

    def __init__(self, keys="ab", streams=None, anchors=None, **policy):
        policies = {key: stream() for key in keys} | (streams or {})
        for name in [name for name in policy if name.endswith("_ms")]:
            policy[name[:-3] + "_ns"] = policy.pop(name) * MS
        defaults = {"max_wait_ns": 50 * MS, "anchor_timeout_ns": 500 * MS}
        self.sync = DropTolerantSynchronizer(
            policies, SyncPolicy(anchors=tuple(anchors or keys), **(defaults | policy))
        )

    def add(self, key, stamp, now=None, end=None):
        now = stamp if now is None else now
        end_ns = None if end is None else EPOCH + round(end * MS)
        return self.sync.add(key, (key, stamp), EPOCH + round(stamp * MS), BOOT + round(now * MS), end_ns)

    def poll(self, now):
        return self.sync.poll(BOOT + round(now * MS))

    def due(self):
        due = self.sync.next_deadline_ns()
        return None if due is None else (due - BOOT) / MS

    def state(self, key, now):
        return self.sync.states(BOOT + round(now * MS))[key]

    def warm(self, keys="ab", until=500, period=50):
        """Let all streams run in step up to a moment (excluded), and drop what they give."""
        for stamp in range(50, until, period):
            for key in keys:
                self.add(key, stamp)
        return self


def stream(slop=20, max_age=120, offset=0, window=0, **more):
    return StreamPolicy(
        slop_ns=slop * MS, max_age_ns=max_age * MS, offset_ns=offset * MS, window_ns=window * MS, **more
    )


def stamps(matches):
    return [(match.anchor, (match.stamp_ns - EPOCH) / MS) for match in matches]


# Which item serves.


@pytest.mark.parametrize(("distance_ns", "served"), [(20 * MS, True), (-20 * MS, True), (20 * MS + 1, False)])
def test_slop_is_inclusive(distance_ns, served):
    bench = Bench(streams={"b": stream(slop=20, max_age=0)})
    bench.sync.add("b", "partner", EPOCH + distance_ns, BOOT)
    (match, *_) = bench.sync.add("a", "anchor", EPOCH, BOOT + 1) + bench.poll(60)

    assert ("b" in match.items) is served
    assert match.items["a"] == ["anchor"]
    if served:
        assert match.ages_ns == {"a": 0, "b": -distance_ns}
    else:
        assert match.absent == {"b": Absence.LATE}


def test_equal_stamps_match_with_a_slop_of_zero():
    bench = Bench(streams={key: stream(slop=0, max_age=0) for key in "ab"})
    bench.add("b", 100)
    assert bench.add("a", 100)[0].items == {"a": [("a", 100)], "b": [("b", 100)]}


def test_nearest_item_serves_and_the_older_one_at_a_tie():
    bench = Bench(anchors="a")
    for stamp in (85, 93, 109, 115):
        bench.add("b", stamp)
    assert bench.add("a", 100)[0].items["b"] == [("b", 93)]
    bench.add("b", 119)
    assert bench.add("a", 117)[0].items["b"] == [("b", 115)]


@pytest.mark.parametrize(("age", "reason"), [(120, None), (121, Absence.STALE)])
def test_beyond_the_slop_an_older_item_serves_up_to_its_maximum_age(age, reason):
    bench = Bench(anchors="a")
    bench.add("b", 400 - age)
    match = (bench.add("a", 400) + bench.poll(450))[0]
    assert match.absent.get("b") == reason
    assert match.ages_ns.get("b") == (None if reason else age * MS)


def test_a_newer_item_serves_within_the_slop_only_and_an_older_one_is_preferred_to_none():
    bench = Bench(anchors="a")
    bench.add("b", 30)
    bench.add("b", 121)
    assert bench.add("a", 100, 122)[0].items["b"] == [("b", 30)]


def test_without_reuse_an_item_serves_once_and_within_the_slop():
    bench = Bench(anchors="a", streams={"b": stream(reuse=False)})
    bench.add("b", 100)
    assert "b" in bench.add("a", 100)[0].items
    match = (bench.add("a", 110) + bench.poll(160))[0]
    assert match.absent == {"b": Absence.LATE}


def test_without_reuse_an_unused_item_beyond_the_slop_does_not_serve():
    bench = Bench(anchors="a", streams={"b": stream(reuse=False)})
    bench.add("b", 70)
    assert (bench.add("a", 100) + bench.poll(150))[0].absent == {"b": Absence.LATE}


def test_offset_is_added_to_the_anchor_also_when_the_anchor_itself_has_one():
    """Stream b stamps 30 ms late, c 5 ms early."""
    streams = {"b": stream(slop=1, max_age=0, offset=30), "c": stream(slop=1, max_age=0, offset=-5)}
    bench = Bench("abc", streams=streams, anchors="ab")
    bench.add("b", 130)
    bench.add("c", 95)
    (match,) = bench.add("a", 100)
    assert set(match.items) == set("abc")
    assert match.ages_ns == dict.fromkeys("abc", 0)

    swapped = Bench("abc", streams=streams, anchors="ba")
    swapped.add("a", 100)
    swapped.add("c", 95)
    (match,) = swapped.add("b", 130)
    assert set(match.items) == set("abc")
    assert stamps([match]) == [("b", 130)]


# When a set closes.


def test_a_set_closes_with_the_message_that_completes_it():
    bench = Bench().warm()
    assert bench.add("a", 500) == []
    assert bench.sync.pending == 1
    (match,) = bench.add("b", 500, 504)
    assert match.items == {"a": [("a", 500)], "b": [("b", 500)]}


def test_an_item_at_or_past_the_anchor_is_not_waited_beyond():
    bench = Bench().warm()
    bench.add("b", 500)
    assert len(bench.add("a", 500)) == 1


def test_without_a_known_period_the_wait_ends_max_wait_after_the_anchors_arrival():
    bench = Bench(anchors="a")
    bench.add("b", 10)
    assert bench.add("a", 100, 103) == []
    assert bench.due() == 153
    assert bench.poll(152.9) == []
    assert stamps(bench.poll(153)) == [("a", 100)]


def test_an_overdue_item_is_given_up_before_a_long_max_wait_is_over():
    """Period 50: what did not come by 450 + 1.75 * 50 is lost, and what would come next is no better."""
    bench = Bench(max_wait_ms=400, anchors="a").warm()
    assert bench.add("a", 500) == []
    assert bench.due() == 537.5
    assert stamps(bench.poll(537.5)) == [("a", 500)]


def test_nobody_waits_longer_than_until_a_stream_is_absent():
    bench = Bench(max_wait_ms=400, anchors="a", overdue_periods=10.0).warm()
    assert bench.add("a", 500, 451) == []
    assert bench.due() == 450 + 150


def test_an_item_expected_just_after_the_deadline_is_waited_for_as_it_may_come_early():
    """Partner b arrives 55 after its stamp, the set closes 50 after it."""
    bench = Bench(max_wait_ms=50, anchors="a")
    for now in range(105, 500, 50):
        bench.add("b", now - 55, now)
    assert bench.add("a", 500) == []
    bench.add("b", 450, 505)
    assert bench.add("b", 500, 549)[0].items["b"] == [("b", 500)]


def test_a_set_waits_for_the_last_of_several_partners():
    """Partner b is given up at 537.5; c comes every 100 and is due at 510 by its own clock, overdue at 585."""
    bench = Bench("abc", max_wait_ms=400, anchors="a", dropout_periods=10.0)
    for stamp in range(10, 500, 10):
        for key, period in (("c", 100), ("b", 50)):
            if (stamp - 10) % 100 == 0 if key == "c" else stamp % period == 0:
                bench.add(key, stamp)
    assert bench.add("a", 500) == []
    assert bench.due() == 585
    assert bench.poll(540) == []
    assert stamps(bench.add("c", 510, 541)) == [("a", 500)]


def test_a_fast_stream_survives_a_hiccup_shorter_than_the_least_dropout():
    bench = Bench(anchors="a", dropout_min_ms=100).warm("b", period=10)
    assert bench.state("b", 490 + 99).state is StreamState.STALE
    assert bench.state("b", 490 + 100).state is StreamState.ABSENT


def test_messages_that_arrive_in_bursts_are_as_frequent_as_their_stamps():
    """Five messages every 250 ms: the dropout is three stamp periods, 150, not three times nothing."""
    bench = Bench(anchors="a", dropout_min_ms=100)
    for stamp in range(50, 1050, 50):
        bench.add("b", stamp, -(-stamp // 250) * 250)
    assert bench.state("b", 1000 + 149).state is StreamState.STALE
    assert bench.state("b", 1000 + 150).state is StreamState.ABSENT


def test_nobody_waits_for_a_stream_never_seen_nor_for_one_lost():
    bench = Bench("abc", anchors="a").warm("ab")
    bench.add("a", 500)
    assert bench.add("b", 500)[0].absent == {"c": Absence.NEVER_SEEN}
    for stamp in (550, 600):
        bench.add("a", stamp)
    (match,) = bench.poll(650)  # b is silent for three of its periods
    assert bench.state("b", 650).state is StreamState.ABSENT
    (match,) = bench.add("a", 650)
    assert match.absent == {"b": Absence.ABSENT, "c": Absence.NEVER_SEEN}


def test_a_lost_stream_serves_at_once_and_is_waited_for_after_enough_messages_in_a_row():
    bench = Bench(recovery_count=2, anchors="a").warm()
    for stamp in range(500, 1000, 50):
        bench.add("a", stamp)
    bench.add("b", 1000)
    assert bench.state("b", 1000).state is StreamState.STALE
    assert "b" in bench.add("a", 1000)[0].items
    assert len(bench.add("a", 1050)) == 1, "not waited for yet"
    bench.add("b", 1050, 1051)
    assert bench.state("b", 1051).state is StreamState.LIVE
    assert bench.add("a", 1100) == []
    assert "b" in bench.add("b", 1100, 1101)[0].items


def test_sets_close_in_order_and_an_earlier_one_no_later_than_a_later_one():
    """Partner b skips 500, so that its item at 550 closes both sets."""
    bench = Bench(max_wait_ms=200, overdue_periods=10.0).warm()
    assert bench.add("a", 500) == []
    assert bench.add("a", 550) == []
    matches = bench.add("b", 550, 560)
    assert stamps(matches) == [("a", 500), ("a", 550)]
    assert [match.items["b"] for match in matches] == [[("b", 450)], [("b", 550)]]


def test_a_set_with_too_few_modalities_is_dropped_and_counted():
    bench = Bench(min_modalities=2, anchors="a")
    assert bench.add("a", 100) == []
    assert bench.sync.incomplete == 1
    bench.add("b", 150)
    assert len(bench.add("a", 150)) == 1


# Order and disorder.


def test_an_anchor_message_out_of_order_takes_its_place_among_the_open_sets():
    bench = Bench(max_wait_ms=200).warm()
    bench.add("a", 560)
    bench.add("a", 540)
    assert stamps(bench.add("b", 560)) == [("a", 540), ("a", 560)]


def test_an_anchor_message_behind_the_output_is_dropped_and_counted():
    bench = Bench().warm()
    before = bench.state("a", 450).late
    assert bench.add("a", 430, 460) == []
    assert bench.sync.pending == 0
    assert bench.state("a", 460).late == before + 1


def test_a_partner_out_of_order_is_used():
    bench = Bench(anchors="a").warm()
    bench.add("b", 540, 540)
    bench.add("b", 500, 541)
    assert bench.add("a", 500, 542)[0].items["b"] == [("b", 500)]


def test_a_message_behind_the_horizon_is_late_and_opens_nothing():
    bench = Bench("a", horizon_ms=100, jump_threshold_ms=1000)
    bench.add("a", 1000)
    bench.sync._last_stamp_ns = None  # as if nothing had been given out
    assert bench.add("a", 1000 - 120 - 101, 1001) == []
    assert bench.state("a", 1001).late == 1
    assert len(bench.add("a", 1000 - 120 - 100, 1002)) == 1


def test_pairs_of_messages_swapped_on_their_way_do_not_spoil_the_period():
    bench = Bench(anchors="a")
    for stamp in range(100, 1100, 100):
        bench.add("b", stamp, stamp)
        bench.add("b", stamp - 50, stamp + 1)
    assert bench.state("b", 1001).period_ns == 100 * MS


def test_repeated_stamps_are_counted_and_give_no_second_output():
    bench = Bench("a")
    assert len(bench.add("a", 100)) == 1
    assert bench.add("a", 100, 150) == []
    assert bench.state("a", 150).duplicates == 1
    assert bench.state("a", 150).received == 1


def test_an_anchor_with_frozen_stamps_is_replaced():
    bench = Bench().warm()
    outputs = []
    for now in range(500, 1000, 50):
        bench.add("a", 450, now)
        outputs += bench.add("b", now)
    assert {anchor for anchor, _ in stamps(outputs)} == {"b"}
    assert len(outputs) >= 8


@pytest.mark.parametrize("stamp_ns", [0, -5])
def test_stamps_of_zero_and_below_are_refused_and_no_sign_of_life(stamp_ns):
    bench = Bench(anchors="ab").warm()
    assert bench.sync.add("b", "item", stamp_ns, BOOT + 460 * MS) == []
    status = bench.state("b", 460)
    assert (status.rejected, status.received, status.age_ns) == (1, 9, 10 * MS)
    assert status.last_rejection == f"stamp {stamp_ns} ns: expected a positive header stamp; set it in the driver"
    assert bench.sync.jumps == 0


def test_refused_messages_are_the_reason_of_absence_until_a_good_one_or_silence():
    bench = Bench(anchors="a")
    bench.add("a", 50)
    bench.sync.reject("b", "encoding 'foo'")
    assert bench.add("a", 100)[0].absent == {"b": Absence.REJECTED}
    assert bench.state("b", 100).state is StreamState.NEVER_SEEN
    assert bench.state("b", 100).last_rejection == "encoding 'foo'"
    assert bench.add("a", 5000)[0].absent == {"b": Absence.NEVER_SEEN}
    bench.sync.reject("b", "encoding 'foo'")
    bench.add("b", 5050)
    assert bench.add("a", 5050)[0].absent == {}


def test_a_good_message_ends_the_refusal():
    bench = Bench(anchors="a")
    bench.add("a", 50)
    bench.sync.reject("b", "encoding 'foo'")
    bench.add("b", 900)
    assert bench.add("a", 800, 901)[0].absent == {"b": Absence.LATE}


# Jumps of time.


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_jump_back_closes_what_is_open_clears_everything_and_begins_anew(first):
    bench = Bench(jump_threshold_ms=200).warm()
    bench.add("a", 500)
    matches = bench.add(first, 10, 520)
    assert stamps(matches)[0] == ("a", 500)
    assert bench.sync.jumps == 1
    assert bench.sync.last_reset == f"stamps of {first} went back to {EPOCH + 10 * MS} ns"
    second = "b" if first == "a" else "a"
    (match,) = bench.add(second, 10, 525)
    assert stamps([match]) == [("a", 10)]
    assert match.items == {"a": [("a", 10)], "b": [("b", 10)]}
    assert bench.sync.jumps == 1


def test_another_streams_jump_back_lets_no_late_item_go_back():
    bench = Bench().warm(until=1000)
    bench.add("b", -4000, 1000)
    assert bench.sync.jumps == 1
    assert bench.add("a", 925, 1010) == [], "950 has been given out"
    (match, *_) = bench.add("a", 1000, 1050) + bench.poll(1100)
    assert stamps([match]) == [("a", 1000)]
    # Once a set has gone out in order, b's jump excuses nothing any more: a backlog of a stays where it is.
    assert bench.add("a", 30, 1110) == []


def test_a_step_back_of_the_threshold_itself_is_disorder():
    bench = Bench("a", jump_threshold_ms=200)
    bench.add("a", 400)
    bench.add("a", 200, 450)
    assert bench.sync.jumps == 0


def test_reset_drops_open_sets_and_allows_stamps_to_start_anew_but_keeps_what_was_learnt():
    bench = Bench().warm()
    bench.add("a", 500)
    bench.sync.reset("ROS time jumped")
    assert bench.sync.pending == 0
    assert bench.sync.last_reset == "ROS time jumped"
    assert bench.state("a", 500).period_ns == 50 * MS
    assert bench.add("a", 50, 550) == []
    assert stamps(bench.add("b", 50, 551)) == [("a", 50)]


def test_reset_forgets_the_spacing_of_packets():
    bench = Bench("b", streams={"b": stream(window=50)}, anchor_period_ms=40)
    assert len(bench.add("b", 100, 108, end=108)) == 1
    bench.sync.reset("ROS time jumped")
    assert len(bench.add("b", 90, 116, end=98)) == 1


def test_steady_time_never_steps_back():
    bench = Bench("a")
    bench.add("a", 100, now=100)
    bench.add("a", 150, now=90)
    assert bench.state("a", 100).age_ns == 0


# Anchors.


def test_an_anchor_never_seen_is_waited_for_during_its_timeout():
    bench = Bench(anchor_timeout_ms=300)
    for stamp in (100, 200, 300):
        assert bench.add("b", stamp) == []
    assert bench.sync.anchor == "a"
    assert bench.due() == 400
    assert stamps(bench.poll(400)) == [("b", 300)], "opened by the item that the substitute holds"
    assert bench.sync.anchor == "b"


def test_the_first_message_of_the_preferred_anchor_opens_a_set_at_once_at_the_start():
    bench = Bench()
    assert len(bench.add("a", 100)) == 1


def test_a_preferred_anchor_first_seen_after_its_timeout_must_send_enough_messages():
    bench = Bench(anchor_timeout_ms=100)
    for stamp in range(50, 300, 50):
        bench.add("b", stamp)
    bench.add("a", 290)
    assert bench.sync.anchor == "b"
    bench.add("a", 340)
    assert bench.sync.anchor == "a"


def test_after_silence_of_all_the_first_message_of_any_anchor_is_enough():
    bench = Bench(recovery_count=5).warm()
    bench.poll(5000)
    assert stamps(bench.add("b", 5000)) == [("b", 5000)]
    assert stamps(bench.add("a", 5050)) == [("a", 5050)], "preferred among those on their way back"


def test_an_anchor_missing_one_message_is_stood_in_for_once_and_stays_the_anchor():
    bench = Bench().warm()
    bench.add("b", 500)
    assert bench.due() == 537.5
    assert stamps(bench.poll(537.5)) == [("b", 500)]
    assert bench.sync.anchor == "a"
    assert bench.poll(545) == []
    assert bench.add("a", 550) == []
    assert stamps(bench.add("b", 550)) == [("a", 550)]


def test_the_stand_in_is_not_from_after_the_missed_moment():
    """Were the item at 530 given out, the anchor's own at 500, only late, could not be."""
    bench = Bench("ab", streams={"b": stream(period_ns=10 * MS)}, overdue_periods=1.5).warm()
    outputs = [match for stamp in (505, 515, 524, 530) for match in bench.add("b", stamp)]
    assert stamps(outputs) == [("b", 524)]


def test_no_lost_stream_stands_in():
    bench = Bench("abc").warm("abc")
    for stamp in range(500, 1000, 50):
        bench.add("a", stamp)
        bench.add("c", stamp)
    bench.add("b", 1000)
    bench.add("c", 1000)
    assert stamps(bench.poll(1037.5)) == [("c", 1000)]


def test_packets_as_the_anchor_are_overdue_by_the_spacing_of_their_sets():
    """Packets every 8 ms, sets every 40: a pause of 60 is less than 1.75 of the latter."""
    bench = Bench("ba", streams={"b": stream(window=50)}, anchor_period_ms=40)
    for start in range(8, 400, 8):
        bench.add("a", start, start)
        bench.add("b", start, start, end=start)
    for start in range(400, 460, 8):
        assert bench.add("a", start) == []
    bench.poll(392 + 69)
    assert bench.sync.pending == 0
    bench.poll(392 + 70)
    assert bench.sync.pending == 1
    # Packets are waited for until they count as absent; then a is the anchor and opens its newest too.
    assert stamps(bench.poll(392 + 100)) == [("a", 448), ("a", 456)]


def test_a_dead_anchor_is_replaced_as_soon_as_it_is_lost():
    bench = Bench(overdue_periods=10.0).warm()
    assert bench.due() == 450 + 150
    bench.add("b", 550)
    bench.poll(600)
    assert bench.sync.anchor == "b"


def test_a_dead_anchor_is_replaced_and_takes_over_again_after_enough_messages():
    bench = Bench(recovery_count=3).warm()
    outputs = []
    for stamp in range(500, 1000, 50):
        outputs += bench.add("b", stamp)
        outputs += bench.poll(stamp + 40)
    assert bench.sync.anchor == "b"
    assert [anchor for anchor, _ in stamps(outputs)] == ["b"] * 10
    returned = []
    for stamp in range(1000, 1200, 50):
        returned += bench.add("a", stamp)
        returned += bench.add("b", stamp, stamp + 1)
    assert stamps(returned) == [("b", 1000), ("b", 1050), ("a", 1100), ("a", 1150)]


def test_the_returning_anchor_displaces_open_sets_of_the_same_moment_only():
    bench = Bench("abc", anchors="ab", max_wait_ms=300, overdue_periods=2.5).warm("abc")
    for stamp in range(500, 1000, 50):
        bench.add("b", stamp)
        bench.add("c", stamp)
    bench.add("a", 1000)  # the first of two that make it the anchor again
    bench.add("b", 1000, 1001)
    bench.add("b", 1050)
    assert bench.sync.anchor == "b"
    assert bench.sync.pending == 2
    bench.add("a", 1055)
    assert bench.sync.pending == 2
    assert stamps(bench.add("c", 1055)) == [("b", 1000), ("a", 1055)]


def test_a_disabled_stream_is_neither_used_nor_waited_for_nor_anchor():
    bench = Bench().warm()
    bench.add("a", 500)
    bench.sync.disable("a")
    assert bench.sync.pending == 0
    (match,) = bench.add("b", 500)
    assert stamps([match]) == [("b", 500)]
    assert match.absent == {"a": Absence.ABSENT}
    assert bench.add("a", 550) == []
    assert not bench.state("a", 550).enabled
    bench.sync.enable("a")
    assert bench.add("a", 600) == []
    assert stamps(bench.add("b", 600)) == [("a", 600)]


# Bounds.


@pytest.mark.parametrize(("policy", "held"), [({"queue_limit": 7}, 7), ({"horizon_ms": 30}, 16)])
def test_queues_are_bounded_by_count_and_by_time(policy, held):
    """Reach 120 and horizon 30: at 10 ms a message, 16 of them."""
    bench = Bench(anchors="a", **policy)
    for stamp in range(10, 1000, 10):
        bench.add("b", stamp)
    assert len(bench.sync._streams["b"].entries) == held
    assert bench.state("b", 990).dropped == 99 - held


def test_open_sets_are_bounded_too():
    bench = Bench(anchors="a", queue_limit=4, max_wait_ms=10_000, streams={"b": stream(period_ns=10_000 * MS)})
    bench.add("b", 10)
    matches = [match for stamp in range(9000, 9100, 10) for match in bench.add("a", stamp)]
    assert stamps(matches) == [("a", float(stamp)) for stamp in range(9000, 9060, 10)]
    assert bench.sync.pending == 4


def test_what_no_later_set_can_use_is_let_go():
    bench = Bench(anchors="a").warm(until=2000)
    assert [entry.item[1] for entry in bench.sync._streams["b"].entries] == [1850, 1900, 1950]


def test_status_counts_and_learns():
    bench = Bench("ab", anchors="a").warm(until=500)
    status = bench.state("b", 460)
    assert (status.state, status.received, status.used, status.late) == (StreamState.LIVE, 9, 8, 0)
    assert (status.period_ns, status.age_ns, status.last_stamp_ns) == (50 * MS, 10 * MS, EPOCH + 450 * MS)
    assert bench.state("b", 450 + 88).state is StreamState.STALE
    assert bench.state("b", 450 + 150).state is StreamState.ABSENT
    assert Bench().state("a", 0).state is StreamState.NEVER_SEEN


def test_a_declared_period_is_not_learnt_over():
    bench = Bench(anchors="a", streams={"b": stream(period_ns=70 * MS)}).warm()
    assert bench.state("b", 450).period_ns == 70 * MS


def test_the_learnt_period_survives_lost_messages_and_follows_a_new_rate():
    bench = Bench("a")
    for stamp in (50, 100, 200, 250, 300, 450, 500):
        bench.add("a", stamp)
    assert bench.state("a", 500).period_ns == 50 * MS
    for stamp in range(1500, 7000, 1000):
        bench.add("a", stamp)
    assert bench.state("a", 6500).period_ns == 1000 * MS
    assert bench.state("a", 7500).state is StreamState.LIVE


# Windows of packets.


def test_a_window_takes_every_packet_that_overlaps_its_half_open_span():
    """Window (50, 100]: the packet that ends at 50 is out, the one that begins at 100 is in."""
    bench = Bench(anchors="a", streams={"b": stream(window=50)})
    for start, end in [(40, 50), (45, 51), (60, 70), (95, 100), (100, 105), (101, 110)]:
        bench.add("b", start, end, end=end)
    (match,) = bench.add("a", 100, 112)
    assert match.items["b"] == [("b", 45), ("b", 60), ("b", 95), ("b", 100)]
    assert match.windows_ns == {"b": (EPOCH + 50 * MS, EPOCH + 100 * MS)}
    assert match.ages_ns["b"] == 0


def test_a_window_waits_for_the_packet_that_reaches_the_anchor():
    bench = Bench(anchors="a", streams={"b": stream(window=50)})
    for start in range(0, 490, 10):
        bench.add("b", start + 0.5, start + 10.5, end=start + 10.5)
    assert bench.add("a", 497) == []
    (match,) = bench.add("b", 490.5, 500.5, end=500.5)
    assert match.items["b"][-1] == ("b", 490.5)
    assert len(match.items["b"]) == 6


def test_an_empty_window_is_late_and_an_old_one_stale():
    bench = Bench(anchors="a", streams={"b": stream(window=50, max_age=120)})
    bench.add("b", 100, 110, end=110)
    assert (bench.add("a", 170) + bench.poll(220))[0].absent == {"b": Absence.LATE}
    assert (bench.add("a", 250) + bench.poll(300))[0].absent == {"b": Absence.STALE}


def test_packets_as_the_anchor_open_sets_at_their_spacing_and_end_their_own_window():
    bench = Bench("b", streams={"b": stream(window=50)}, anchor_period_ms=40)
    matches = [match for start in range(0, 400, 8) for match in bench.add("b", start + 1, start + 8, end=start + 8)]
    assert stamps(matches) == [("b", float(start)) for start in range(1, 400, 40)]
    assert matches[-1].items["b"] == [("b", start) for start in range(313, 362, 8)]
    assert matches[-1].windows_ns["b"] == (EPOCH + 318 * MS, EPOCH + 368 * MS)


# Frame sets.


def events_frame(start, times, width=8):
    t_ns = EPOCH + np.array(times, np.int64) * MS
    x = np.array(times, np.uint16) % 8
    events = Events(x, x, np.ones(len(x), np.uint8), t_ns, width, 4)
    return SensorFrame(Modality.EVENT, EPOCH + start * MS, "events_optical", events, int(t_ns[-1]))


def test_frame_set_joins_packets_and_cuts_them_to_the_window():
    image = SensorFrame(Modality.RGB, EPOCH + 100 * MS, "camera_optical", np.zeros((2, 2, 3), np.uint8))
    packets = [events_frame(40, [41, 50, 51]), events_frame(52, [53, 90]), events_frame(95, [96, 100, 101])]
    match = Match(
        anchor=Modality.RGB,
        stamp_ns=image.stamp_ns,
        arrival_ns=BOOT,
        items={Modality.RGB: [image], Modality.EVENT: packets},
        absent={Modality.LIDAR: Absence.LATE},
        ages_ns={Modality.RGB: 0, Modality.EVENT: 0},
        windows_ns={Modality.EVENT: (EPOCH + 50 * MS, EPOCH + 100 * MS)},
    )
    frames = frame_set(match)

    assert frames.frames[Modality.RGB] is image
    assert frames.absent == {Modality.LIDAR: Absence.LATE}
    merged = frames.frames[Modality.EVENT]
    assert (merged.data.t_ns - EPOCH).tolist() == [time * MS for time in (51, 53, 90, 96, 100)]
    assert (merged.stamp_ns, merged.end_ns, merged.frame_id) == (EPOCH + 95 * MS, EPOCH + 100 * MS, "events_optical")

    broken = Match(
        Modality.EVENT, 1, BOOT, {Modality.EVENT: [packets[0], events_frame(52, [53], 9)]}, {}, {}, match.windows_ns
    )
    with pytest.raises(FrameError, match="packets of sizes"):
        frame_set(broken)


def test_frame_set_of_an_event_anchor_carries_the_stamp_of_the_match():
    sync = DropTolerantSynchronizer(
        {Modality.EVENT: stream(window=50)},
        SyncPolicy(anchors=(Modality.EVENT,), max_wait_ns=0, anchor_timeout_ns=500 * MS),
    )
    matches = []
    for start in (10, 20, 30):
        frame = events_frame(start, [start + 1, start + 9])
        matches += sync.add(Modality.EVENT, frame, frame.stamp_ns, BOOT + start * MS, frame.end_ns)
    frames = frame_set(matches[-1])
    assert frames.frames[Modality.EVENT].stamp_ns == matches[-1].stamp_ns == EPOCH + 30 * MS
    assert len(frames.frames[Modality.EVENT].data) == 6


# Refused settings.


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: stream(slop=-1), "found slop_ns = -1000000, expected 0 or more nanoseconds"),
        (lambda: Bench(max_wait_ms=-1), "found max_wait_ns = -1000000"),
        (lambda: Bench(dropout_periods=0.5), "found dropout_periods = 0.5, expected at least 1"),
        (lambda: Bench(queue_limit=1), "found queue_limit = 1, expected at least 2"),
        (lambda: Bench(anchors="aa"), "found anchors .*expected at least one, each named once"),
        (lambda: Bench(anchors="az"), r"found anchors \['z'\], expected some of the streams \['a', 'b'\]"),
        (lambda: Bench().add("z", 100), r"found stream 'z', expected one of \['a', 'b'\]"),
        (lambda: Bench().sync.reject("z", "bad"), "found stream 'z'"),
    ],
)
def test_impossible_settings_and_unknown_streams_are_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_an_error_leaves_the_synchronizer_usable():
    bench = Bench()
    with pytest.raises(ConfigError):
        bench.add("z", 100)
    assert len(bench.add("a", 100)) == 1
