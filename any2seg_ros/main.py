# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start segmentation_node, spin it, and end cleanly on SIGINT and SIGTERM, also while it is still starting."""

from __future__ import annotations

import importlib
import signal
import sys
from contextlib import ExitStack
from typing import Any, Final

from any2seg_core.errors import Any2SegError, ConfigError, DependencyError

WAKE_S: Final = 0.2
"""Longest wait of an idle executor: Python looks at signals only between two waits."""


def main(arguments: list[str] | None = None) -> int:
    """Run the node until it is told to stop.

    Returns:
        0 after an orderly end, 1 if the node cannot start: stderr then says why and what to do.
    """
    stop = _Stop()
    # Not rclpy's own handlers: they take the context from under a node that is loading its model.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.ask)
    try:
        _run(arguments, stop)
    except KeyboardInterrupt:
        return 0
    except Any2SegError as error:
        sys.stderr.write(f"segmentation_node cannot start: {error}\n")
        return 1
    return 0


class _Stop:
    """The wish to end. It is kept: the exception that tells of it is lost if it comes up in a library's callback."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, _number: int, _frame: object) -> None:
        """Stop once: Ctrl-C under ros2 launch comes twice, and the second must not break into the orderly end."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt again if it was raised before and went unheard."""
        if self._asked:
            raise KeyboardInterrupt


def _run(arguments: list[str] | None, stop: _Stop) -> None:
    """Start a node and spin it; whatever was begun is ended in reverse order."""
    rclpy, clock, executors, signals = (_load(f"rclpy{part}") for part in ("", ".clock", ".executors", ".signals"))
    node_class = _load("any2seg_ros.node").SegmentationNode
    with ExitStack() as ends:
        try:
            rclpy.init(args=arguments, signal_handler_options=signals.SignalHandlerOptions.NO)
        except Exception as error:
            msg = f"found ROS arguments that rcl refuses: {error}; correct the command line or the file it names"
            raise ConfigError(msg) from error
        ends.callback(rclpy.try_shutdown)
        node = node_class()
        ends.callback(node.destroy_node)
        executor = executors.SingleThreadedExecutor()
        ends.callback(executor.shutdown)
        ends.callback(node.stop)
        executor.add_node(node)
        # The steady clock: simulated time may stand still.
        node.create_timer(WAKE_S, stop.check, clock=clock.Clock(clock_type=clock.ClockType.STEADY_TIME))
        if node.autostart:
            node.start()
        executor.spin()


def _load(module: str) -> Any:
    """Import a module of the node.

    Raises:
        DependencyError: this interpreter lacks a package, as /usr/bin/python3 lacks a virtual environment's torch.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: torch does not find a shared library
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        found = f"has no package {missing!r}" if missing else f"cannot import {module}: {error}"
        msg = f"{sys.executable} {found}; {_what_to_do(missing or module)}"
        raise DependencyError(msg) from error


def _what_to_do(missing: str) -> str:
    package = missing.split(".", maxsplit=1)[0]
    if package == "rclpy" or package.endswith(("_msgs", "_interfaces")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            "source the ROS distribution's setup file, and use an interpreter of the Python version that it is built "
            f"for (this one is {version})"
        )
    return (
        "install it there with pip, or start the node with an interpreter that has it: activate its virtual "
        "environment, or give ros2 launch the argument python:=/path/to/venv/bin/python"
    )


if __name__ == "__main__":
    sys.exit(main())
