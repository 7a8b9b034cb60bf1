# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Rendering processes that go when they are no longer wanted."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def rendering_pool(workers: int, initializer: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of spawned processes; if it is left by an exception, what they work on is given up at once.

    Otherwise Ctrl-C, or a generator that nobody asks any more, would wait until streets are built and frames rendered.

    Args:
        workers: how many.
        initializer: called in each with the arguments.
        arguments: for it.
    """
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer, arguments) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            unwanted = set(multiprocessing.active_children()) - others
            for process in unwanted:
                process.terminate()
            for process in unwanted:
                process.join()
            raise
