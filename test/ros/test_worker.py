# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The inference thread: newest job only, one at a time, whatever a job raises."""

import gc
import logging
import threading
import time
import weakref

import pytest

from any2seg_ros.worker import LatestWorker


class Model:
    """Work that takes as long as the test says."""

    def __init__(self):
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.done = []
        self.failures = []
        self.threads = set()

    def __call__(self, job):
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.may_end.acquire(timeout=5)
        if isinstance(job, Exception):
            raise job
        self.done.append(job)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def worker(model):
    made = LatestWorker(model, model.failures.append, name="worker under test")
    yield made
    for _ in range(100):
        model.may_end.release()
    assert made.stop(5)


def begin(model):
    assert model.begun.acquire(timeout=5)


def wait(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.001)
    return condition()


def test_only_the_newest_waiting_job_is_kept_and_the_others_are_told_displaced(model, worker):
    assert not worker.submit(1)
    begin(model)
    assert [worker.submit(job) for job in (2, 3, 4)] == [False, True, True]
    model.may_end.release()
    begin(model)
    model.may_end.release()
    assert wait(lambda: model.done == [1, 4])


def test_jobs_run_one_at_a_time_on_one_thread_that_is_not_the_callers(model, worker):
    for job in range(3):
        worker.submit(job)
        begin(model)
        model.may_end.release()
        assert wait(lambda: job in model.done)  # noqa: B023
    assert len(model.threads) == 1
    assert threading.get_ident() not in model.threads


def test_what_a_job_raises_is_handed_on_and_the_next_job_runs(model, worker):
    error = RuntimeError("bad frame")
    for job in (error, 2):
        worker.submit(job)
        begin(model)
        model.may_end.release()
        assert wait(lambda: model.failures or model.done)
    assert wait(lambda: model.done == [2])
    assert model.failures == [error]


def test_a_report_that_fails_itself_does_not_end_the_worker_either(model, caplog):
    def failing_report(_):
        raise OSError("log is full")

    worker = LatestWorker(model, failing_report, name="worker under test")
    model.may_end.release()
    model.may_end.release()
    with caplog.at_level(logging.ERROR):
        worker.submit(RuntimeError("bad frame"))
        begin(model)
        assert wait(lambda: "going on" in caplog.text)
        worker.submit(2)
        assert wait(lambda: model.done == [2])
    assert "log is full" in caplog.text
    assert worker.stop(5)


def test_stop_lets_the_running_job_finish_and_drops_the_one_that_waits(model, worker):
    worker.submit(1)
    begin(model)
    worker.submit(2)
    threading.Timer(0.05, model.may_end.release).start()
    assert worker.stop(5)
    assert model.done == [1]


def test_stop_tells_when_the_job_does_not_end_in_time(model, worker):
    worker.submit(1)
    begin(model)
    assert not worker.stop(0.01)


def test_after_stop_jobs_are_let_go(model, worker):
    assert worker.stop(5)
    assert [worker.submit(job) for job in (1, 2)] == [False, False]
    assert model.done == []


def test_frames_are_not_held_once_they_are_answered():
    class Frames:
        pass

    seen = threading.Event()
    worker = LatestWorker(lambda _: seen.set(), lambda _: None, name="worker under test")
    frames = Frames()
    alive = weakref.ref(frames)
    worker.submit(frames)
    assert seen.wait(5)
    del frames
    assert wait(lambda: gc.collect() is not None and alive() is None)
    assert worker.stop(5)


def test_the_queue_is_as_long_as_what_waits_for_the_running_job(model, worker):
    assert worker.waiting == 0
    worker.submit(1)
    begin(model)
    assert worker.waiting == 0
    for job in (2, 3):
        worker.submit(job)
        assert worker.waiting == 1, "only the newest waits"
    model.may_end.release()
    begin(model)
    assert worker.waiting == 0
    model.may_end.release()
    assert worker.stop(5)
    worker.submit(4)
    assert worker.waiting == 0
