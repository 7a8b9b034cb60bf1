# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""With a dead camera the node goes on; side by side, the rule that all inputs are required falls silent."""

import itertools
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
    for _ in range(12):
        ticks.append(time.monotonic())
        robot.tick((Modality.DEPTH, Modality.EVENT, Modality.LIDAR), PERIOD_S)
    end = time.monotonic()

    times = [t for t in robot.heard.times if t > died - 3 * PERIOD_S]
    pauses = [later - earlier for earlier, later in itertools.pairwise([*times, end])]
    # What the machine itself was late by is not the node's pause: the periods really kept, and the model's time.
    period_s = max(later - earlier for earlier, later in itertools.pairwise(ticks))
    latency_s = max(float(values["latency_ms"]) for _, values in robot.used_sets()) / 1e3
    assert max(pauses) <= 2 * period_s + MAX_WAIT_S + latency_s, pauses
    assert len([t for t in robot.heard.times if t > died]) >= 10
    assert robot.used_sets()[-1][0] == "depth+event+lidar"

    assert len(rule.fired) >= 5, "the rule must work while all sensors live, or its silence would prove nothing"
    assert [t for t in rule.fired if t > died + 0.1] == []
