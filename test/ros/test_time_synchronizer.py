# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The message_filters call shape of the synchronizer: filters in, callbacks out, locks and exceptions."""

import threading
from types import SimpleNamespace

import pytest

from any2seg_core.errors import ConfigError
from any2seg_core.synchronizer import StreamState
from any2seg_ros.compat import message_filters
from any2seg_ros.time_synchronizer import DropTolerantTimeSynchronizer

MS = 1_000_000


class Filter:
    """The part of message_filters.SimpleFilter that a synchronizer sees."""

    def __init__(self):
        self.callbacks = []

    def registerCallback(self, callback, *args):  # noqa: N802
        self.callbacks.append((callback, args))
        return len(self.callbacks) - 1

    def signalMessage(self, *messages):  # noqa: N802
        for callback, args in self.callbacks:
            callback(*messages, *args)


def filters(count, kind=Filter):
    return [kind() for _ in range(count)]


def message(stamp_ms, name=""):
    sec, nanosec = divmod(1_700_000_000_000 * MS + round(stamp_ms * MS), 1000 * MS)
    return SimpleNamespace(name=name, header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))


class Clock:
    """A steady clock in the hands of the test, milliseconds."""

    def __init__(self):
        self.ms = 10_000

    def __call__(self):
        return self.ms * MS


def bench(count=3, kind=Filter, **settings):
    clock = Clock()
    sources = filters(count, kind)
    sync = DropTolerantTimeSynchronizer(sources, 10, 0.02, clock=clock, **settings)
    sets = []
    sync.registerCallback(lambda *messages: sets.append(messages))
    return clock, sources, sync, sets


def send(clock, sources, stamp, places):
    clock.ms = 10_000 + stamp
    for place in places:
        sources[place].signalMessage(message(stamp, place))


def names(messages):
    return tuple(None if item is None else item.name for item in messages)


@pytest.fixture(params=["double", "message_filters"])
def kind(request):
    """The double, and message_filters' own filter where that is installed (else the stand-in for it)."""
    return Filter if request.param == "double" else message_filters().SimpleFilter


def test_callbacks_get_one_message_per_filter_and_none_where_one_is_absent(kind):
    clock, sources, sync, sets = bench(kind=kind)
    for stamp in range(0, 3000, 100):
        send(clock, sources, stamp, (2, 1, 0) if stamp < 1000 else (1, 0))
        clock.ms += 60
        sync.poll()
    assert len(sets) == 30
    assert [names(messages) for messages in sets[1:10]] == [(0, 1, 2)] * 9
    assert [names(messages) for messages in sets[15:]] == [(0, 1, None)] * 15


def test_slop_is_inclusive():
    clock, sources, sync, sets = bench(2, anchors=(0,), max_age=0.0)
    for stamp in (20, 121):  # 20 ms after the partner, then 21
        send(clock, sources, stamp // 100 * 100, [1])
        send(clock, sources, stamp, [0])
        clock.ms += 50
        sync.poll()
    assert [names(messages) for messages in sets] == [(0, 1), (0, None)]


def test_output_goes_on_when_the_first_filter_dies_unless_it_is_the_only_anchor():
    def outputs(**settings):
        clock, sources, sync, sets = bench(2, **settings)
        for stamp in range(0, 3000, 50):
            send(clock, sources, stamp, (1, 0) if stamp < 1000 else [1])
            sync.poll()
        return sets

    assert len(outputs()) >= 58
    assert names(outputs()[-1]) == (None, 1)
    assert len(outputs(anchors=(0,))) == 20


def test_poll_closes_what_nothing_more_arrives_for():
    clock, sources, sync, sets = bench(2, max_wait=0.05)
    send(clock, sources, 0, [1])
    send(clock, sources, 100, [0])
    assert sets == []
    assert sync.next_deadline_ns() == 10_150 * MS
    clock.ms = 10_150
    sync.poll()
    assert names(sets[0]) == (0, 1)


def test_extra_arguments_and_several_callbacks_are_served_and_it_is_a_filter_itself():
    clock, sources, sync, sets = bench(2)
    seen = []
    first = sync.registerCallback(lambda a, b, *extra: seen.append((names((a, b)), extra)), "x", 7)
    assert sync.registerCallback(lambda *_: None) == first + 1
    second = DropTolerantTimeSynchronizer([Chained(sync)], 10, 0.02, clock=clock)
    chained = []
    second.registerCallback(lambda item: chained.append(item.name))
    send(clock, sources, 0, [0])
    assert names(sets[0]) == (0, None)
    assert seen == [((0, None), ("x", 7))]
    assert chained == [0]


class Chained(Filter):
    """A filter behind the synchronizer that lets the first message of each set through."""

    def __init__(self, source):
        super().__init__()
        source.registerCallback(lambda first, *_: self.signalMessage(first))


def test_it_works_behind_a_subscriber_and_a_cache():
    header = pytest.importorskip("std_msgs.msg").Header
    subscribed = []
    node = SimpleNamespace(create_subscription=lambda *args, **kwargs: subscribed.append(args[2]))
    subscriber = message_filters().Subscriber(node, header, "image")
    cache = message_filters().Cache(message_filters().Subscriber(node, header, "points"), 5)
    sync = DropTolerantTimeSynchronizer([subscriber, cache], 10, 0.02)
    sets = []
    sync.registerCallback(lambda *messages: sets.append(messages))
    stamped = SimpleNamespace(name="points", header=header())
    stamped.header.stamp.sec = 1_700_000_000
    subscribed[1](stamped)
    subscribed[0](message(0, "image"))
    assert names(sets[0]) == ("image", "points")


def test_an_exception_in_a_callback_comes_through_and_the_next_message_works():
    clock, sources, sync, sets = bench(2)

    def fail(*messages):
        raise RuntimeError("user code")

    sync.registerCallback(fail)
    for stamp in (0, 100, 200):
        with pytest.raises(RuntimeError, match="user code"):
            send(clock, sources, stamp, [0])
    assert len(sets) == 3


def test_a_callback_may_call_back_into_the_synchronizer():
    clock, sources, sync, sets = bench(2)

    def again(first, _):
        sync.poll()
        if len(sets) == 1:
            send(clock, sources, 100, [0])

    sync.registerCallback(again)
    send(clock, sources, 0, [0])
    assert [messages[0].header.stamp.nanosec for messages in sets] == [0, 100 * MS]


def test_a_slow_callback_blocks_no_other_thread_and_sets_come_one_at_a_time_in_order():
    clock, sources, sync, _ = bench(1)
    entered, leave = threading.Event(), threading.Event()
    seen = []

    def slow(item):
        seen.append(item.header.stamp.nanosec // MS)
        entered.set()
        assert leave.wait(5)

    sync.registerCallback(slow)
    thread = threading.Thread(target=send, args=(clock, sources, 0, [0]))
    thread.start()
    assert entered.wait(5)
    for stamp in (50, 100, 150):
        send(clock, sources, stamp, [0])  # returns though the callback is busy
    assert seen == [0]
    leave.set()
    thread.join(5)
    assert seen == [0, 50, 100, 150]


def test_sets_that_a_slow_callback_never_gets_to_are_dropped_oldest_first_and_counted():
    clock, sources, sync, _ = bench(1)
    seen = []

    def slow(item):
        seen.append(item.header.stamp.nanosec // MS)
        if len(seen) == 1:
            for stamp in range(10, 160, 10):
                send(clock, sources, stamp, [0])

    sync.registerCallback(slow)
    send(clock, sources, 0, [0])
    assert seen == [0, *range(60, 160, 10)]
    assert sync.dropped == 5


def test_messages_without_a_usable_stamp_are_refused_and_counted_by_name():
    _, sources, sync, sets = bench(2, names=("camera", "lidar"))
    sources[0].signalMessage(SimpleNamespace(data=1))
    zero = message(0)
    zero.header.stamp.sec = zero.header.stamp.nanosec = 0
    sources[0].signalMessage(zero)
    assert sets == []
    states = sync.states()
    assert states["camera"].rejected == 2
    assert states["camera"].state is states["lidar"].state is StreamState.NEVER_SEEN
    assert set(bench(2)[2].states()) == {0, 1}


def test_reset_and_a_bag_that_loops_begin_anew():
    clock, sources, sync, sets = bench(2)
    for stamp in range(0, 2000, 100):
        send(clock, sources, stamp, (1, 0))
    before = len(sets)
    clock.ms += 100
    for stamp in range(0, 500, 100):
        clock.ms += 100
        for place in (1, 0):
            sources[place].signalMessage(message(stamp, place))
    assert len(sets) == before + 5
    sync.reset()
    clock.ms += 100
    sources[1].signalMessage(message(300, 1))
    sources[0].signalMessage(message(300, 0))
    assert names(sets[-1]) == (0, 1)
    assert len(sets) == before + 6


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: DropTolerantTimeSynchronizer(filters(2), 10, 0.1, names=["a"]), "found names .* for 2 filters"),
        (lambda: DropTolerantTimeSynchronizer(filters(2), 10, 0.1, names=["a", "a"]), "a different one for each"),
        (lambda: DropTolerantTimeSynchronizer(filters(2), 10, 0.1, anchors=(2,)), r"found anchors \[2\]"),
        (lambda: DropTolerantTimeSynchronizer([], 10, 0.1), "expected at least one"),
        (lambda: DropTolerantTimeSynchronizer(filters(1), 10, -0.1), "found slop_ns = -100000000"),
    ],
)
def test_settings_that_do_not_fit_are_refused(build, error):
    with pytest.raises(ConfigError, match=error):
        build()
