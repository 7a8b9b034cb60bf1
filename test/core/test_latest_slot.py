# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The keep-latest slot between the synchronizer and the worker."""

import threading
import time

from any2seg_core.synchronizer import LatestSlot


def test_a_newer_item_displaces_an_older_one_and_is_counted():
    slot = LatestSlot()
    assert slot.put("first") is False
    assert slot.put("second") is True
    assert slot.displaced == 1
    assert slot.take(0) == "second"
    assert slot.put("third") is False


def test_take_waits_no_longer_than_its_timeout():
    slot = LatestSlot()
    began = time.monotonic()
    assert slot.take(0.05) is None
    assert 0.04 < time.monotonic() - began < 2


def test_close_lets_go_of_the_item_and_wakes_every_taker():
    slot = LatestSlot()
    taken = []
    takers = [threading.Thread(target=lambda: taken.append(slot.take())) for _ in range(3)]
    for taker in takers:
        taker.start()
    slot.close()
    slot.close()
    for taker in takers:
        taker.join(5)
    assert taken == [None] * 3
    assert slot.closed
    assert slot.put("late") is False
    assert slot.take(0) is None


def test_a_slow_worker_gets_the_newest_in_order_and_nothing_is_lost_uncounted():
    slot = LatestSlot()
    taken = []

    def work():
        while not slot.closed:
            item = slot.take(1)
            if item is not None:
                taken.append(item)
                time.sleep(0.002)

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(1, 201):
        slot.put(number)
        time.sleep(0.0002)
    deadline = time.monotonic() + 5
    while (not taken or taken[-1] != 200) and time.monotonic() < deadline:
        time.sleep(0.002)
    slot.close()
    worker.join(5)
    assert taken == sorted(set(taken))
    assert taken[-1] == 200
    assert len(taken) + slot.displaced == 200
