# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""With a dead camera the node goes on; side by side, the rule that all inputs are required falls silent."""

import itertools
import threading
import time

import pytest

from any2seg_core.frames import Modality
from any2seg_ros.conversions import stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
PERIOD_S = 0.2
MAX_WAIT_S = 0.05


class AllInputsRequired:
    """The rule of message_filters' ApproximateTimeSynchronizer: a set fires only if every queue has a stamp in slop."""

    def __init__(self, topics, queue_size, slop_s):
        self.queues = {topic: [] for topic in topics}
        self.queue_size = queue_size
        self.slop_ns = round(slop_s * 1e9)
        self.fired = []

    def add(self, topic, stamp):
        self.queues[topic] = [*self.queues[topic], stamp][-self.queue_size :]
        near = [[other for other in queue if abs(other - stamp) < self.slop_ns] for queue in self.queues.values()]
        if all(near):
            self.fired.append(time.monotonic())
            for queue, used in zip(self.queues.values(), near, strict=True):
                queue.remove(used[0])


class StallWatch:
    """Measures how long this process was kept from running at most: a pause of the machine is none of the node."""

    def __init__(self):
        self.longest_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self, nap_s=0.01):
        while not self._over.is_set():
            begin = time.monotonic()
            time.sleep(nap_s)
            self.longest_s = max(self.longest_s, time.monotonic() - begin - nap_s)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


@pytest.mark.slow
def test_output_never_pauses_longer_than_two_periods_plus_max_wait_when_the_camera_dies(started):
    _, robot = started
    rule = AllInputsRequired(SENSORS, queue_size=10, slop_s=0.05)
    for modality in SENSORS:
        topic = robot.ports[modality].topic_name
        kind = robot.ports[modality].msg_type
        robot.node.create_subscription(
            kind, topic, lambda message, m=modality: rule.add(m, stamp_ns(message.header)), 10
        )
    time.sleep(0.3)
    for _ in range(8):
        robot.tick(SENSORS, PERIOD_S)
    died = time.monotonic()
    ticks = [died]
    with StallWatch() as stall:
        for _ in range(12):
            ticks.append(time.monotonic())
            robot.tick((Modality.DEPTH, Modality.EVENT, Modality.LIDAR), PERIOD_S)
    end = time.monotonic()

    times = [t for t in robot.heard.times if t > died - 3 * PERIOD_S]
    pauses = [later - earlier for earlier, later in itertools.pairwise([*times, end])]
    # What the machine was late by is not the node's pause: the periods really kept, the model's time, and stalls.
    period_s = max(later - earlier for earlier, later in itertools.pairwise(ticks))
    latency_s = max(float(values["latency_ms"]) for _, values in robot.used_sets()) / 1e3
    bound_s = 2 * period_s + MAX_WAIT_S + latency_s + 2 * stall.longest_s
    assert max(pauses) <= bound_s, (pauses, period_s, latency_s, stall.longest_s)
    assert len([t for t in robot.heard.times if t > died]) >= 10
    assert robot.used_sets()[-1][0] == "depth+event+lidar"

    assert len(rule.fired) >= 5, "the rule must work while all sensors live, or its silence would prove nothing"
    assert [t for t in rule.fired if t > died + 0.1] == []
