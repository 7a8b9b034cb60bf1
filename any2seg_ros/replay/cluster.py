# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Work on the machines of a Ray cluster: https://docs.ray.io."""

from __future__ import annotations

import importlib
import socket
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import Any2SegError, ConfigError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOCAL: Final = "local"
"""Ray's word in place of an address: a cluster of this machine alone, for as long as the work lasts."""

PROBE_S: Final = 5.0
"""Time that the head of a cluster has to take a connection."""


def ray_package() -> Any:
    """Import ray.

    Raises:
        DependencyError: the package is missing.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        msg = f"replay: found no package ray ({error}), expected it for --ray; pip install any2seg[ray]"
        raise DependencyError(msg) from None


def on_cluster(
    address: str, work: Callable[..., int], jobs: Sequence[tuple[Any, ...]], *, threads: int
) -> Iterator[int]:
    """Do jobs on a cluster and yield what they return, in the order in which they end.

    Args:
        address: of the cluster, as ray.init takes it, or LOCAL.
        work: a function of this package, which every machine must have installed.
        jobs: its arguments.
        threads: processor cores that each job takes.

    Raises:
        DependencyError: ray is missing.
        ConfigError: the cluster cannot be reached, or loses a job.
    """
    ray = ray_package()
    _probe(address)
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(_absent(address, error)) from error
    try:
        task = ray.remote(num_cpus=threads)(work)
        waiting = [task.remote(*job) for job in jobs]
        while waiting:
            done, waiting = ray.wait(waiting)
            yield ray.get(done[0])
    except ray.exceptions.RayError as error:
        if isinstance(error, Any2SegError):
            raise
        msg = f"replay: found a job lost on the cluster ({error}), expected its result; see Ray's logs, and run again"
        raise ConfigError(msg) from error
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Find out in seconds what takes ray.init many minutes: nobody listens at `host:port`.

    Raises:
        ConfigError: so it is.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(_absent(address, error)) from error


def _absent(address: str, error: Exception) -> str:
    return f"replay: found no Ray cluster at {address!r} ({error}), expected one; start it, or give another address"
