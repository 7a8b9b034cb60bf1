# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A segmentation node and the robot that feeds it, put through one fault after the other."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rclpy.node import Node

from any2seg_core.errors import Any2SegError
from any2seg_core.frames import subset_key
from any2seg_sim.trial.cases import SENSORS
from any2seg_sim.trial.ear import Ear
from any2seg_sim.trial.nodes import segmentation_node, spinning, trial_parameters
from any2seg_sim.trial.player import Drive, Player, Spoil
from any2seg_sim.trial.row import Row, longest_gap_ms, mostly_used, steps_back
from any2seg_sim.trial.said import said_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from any2seg_core.faults import FaultScript
    from any2seg_sim.messages import TopicMessage

READY_TIMEOUT_S: Final = 120.0
PHASE: Final = 0.8
"""Faults begin and end this far into the period of the camera, when its output is long out."""
ALL: Final = subset_key(SENSORS)
HEALTHY: Final = 3
"""Outputs of all sensors in a row after which the node counts as recovered."""
SHORT_SIDE_PX: Final = 64
SETTLE_S: Final = 0.3
"""Time for the node to find the robot's topics as well, and to say how it does."""


class TrialError(Any2SegError, RuntimeError):
    """A trial could not be held, or the node did not stand it."""


@dataclass(frozen=True)
class Timing:
    """How long a case lasts, seconds: sound before, failing, and at most until all sensors serve again."""

    before_s: float = 0.3
    fault_s: float = 2.0
    recovery_s: float = 15.0


@dataclass(frozen=True)
class Fault:
    """What happens in a case.

    Attributes:
        name: of the row.
        sensor: the sensor to hear about, as the diagnostics name it.
        named: regular expression that what is said of it must match; empty for none.
        script: what fails, made from the moments of beginning and end, seconds after the player begins.
        spoil: what happens to each message meanwhile; see Player.play.
        jumps: whether the outputs' stamps may be set back.
        at_once: the fault is there before the first message comes.
        mend: called once at the end.
    """

    name: str
    sensor: str
    named: str = ""
    script: Callable[[float, float], FaultScript] | None = None
    spoil: Spoil | None = None
    jumps: bool = False
    at_once: bool = False
    mend: Callable[[], None] | None = None


class Bench:
    """One segmentation node and a robot that feeds it.

    Attributes:
        node: the segmentation node.
        robot: feeds it and hears it.
        player: what feeds it.
        ear: what it says.
        window_ns: beginning and end of the last fault, on the steady clock.
    """

    def __init__(self, node: Any, robot: Node, drive: Drive, thread: threading.Thread) -> None:
        self.node, self.robot = node, robot
        self.player, self.ear = Player(robot, drive), Ear(robot, node.get_fully_qualified_name())
        self.window_ns = (0, 0)
        self._thread = thread

    def settle(self) -> None:
        """Feed the node until all sensors serve.

        Raises:
            TrialError: they never do.
        """
        self.ear.clear()
        until_ns = self.player.now_ns() + round(READY_TIMEOUT_S * 1e9)
        self.player.play(until_ns, over=lambda: self._sound(0) and bool(self.ear.reports))
        if not self._sound(0):
            msg = f"trial: found outputs of {mostly_used(self.ear.served)}, expected {ALL}; see the node's log"
            raise TrialError(msg)

    def go_through(self, fault: Fault, timing: Timing) -> Row:
        """Let a fault happen to a sound node and measure what comes of it."""
        ear, player = self.ear, self.player
        ear.clear()
        start_ns = player.now_ns()
        image_ns = player.next_image_ns(start_ns + round(timing.before_s * 1e9))
        begin_ns = image_ns + round(PHASE * player.drive.period_ns)
        periods = max(round(timing.fault_s * 1e9 / player.drive.period_ns), 1)
        end_ns = begin_ns + periods * player.drive.period_ns
        begin, end = player.steady_ns(begin_ns), player.steady_ns(end_ns)

        ends = [] if fault.mend is None else [fault.mend]

        def spoil(described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
            if ends and described.arrival_ns >= end_ns:
                ends.pop()()
            failing = (fault.at_once or begin_ns <= described.arrival_ns) and described.arrival_ns < end_ns
            return fault.spoil(described, message) if failing and fault.spoil else [(0, message)]

        script = None if fault.script is None else fault.script((begin_ns - start_ns) / 1e9, (end_ns - start_ns) / 1e9)
        player.play(end_ns + round(timing.recovery_s * 1e9), faults=script, spoil=spoil, over=lambda: self._sound(end))
        self.window_ns = begin, end
        return self._row(fault, begin, end, periods)

    def _sound(self, after_ns: int) -> bool:
        """Whether all sensors served some outputs in a row that were heard after a moment."""
        alike = [one.sensors == ALL for one in self.ear.served if one.heard_ns > after_ns]
        return any(all(alike[i : i + HEALTHY]) for i in range(len(alike) - HEALTHY + 1))

    def _row(self, fault: Fault, begin: int, end: int, expected: int) -> Row:
        outputs, served, reports = list(self.ear.outputs), list(self.ear.served), list(self.ear.reports)
        within = [one for one in served if begin < one.heard_ns <= end]
        before = next((r for r in reversed(reports) if r.heard_ns <= begin), reports[0])
        last = next((i for i, r in enumerate(reports) if r.heard_ns > end), len(reports) - 1)
        during = [r for r in reports[: last + 1] if r.heard_ns > begin]
        said = said_of(fault.sensor, before, during, within)
        back = next((one.heard_ns for one in served if one.heard_ns > end and one.sensors == ALL), None)
        problems = [*self._dead(), *steps_back(outputs, jumps=fault.jumps)]
        if not self._sound(end):
            problems.append("not all sensors served again")
        if not re.search(fault.named, said):
            problems.append(f"expected something like {fault.named!r} to be said")
        return Row(
            fault=fault.name,
            expected=expected,
            published=sum(begin < output.heard_ns <= end for output in outputs),
            gap_ms=longest_gap_ms(outputs, begin, end),
            used=mostly_used(within),
            said=said,
            back_ms=None if back is None else (back - end) / 1e6,
            problems=tuple(problems),
        )

    def _dead(self) -> list[str]:
        return [] if self._thread.is_alive() else ["the node's executor ended"]


@contextmanager
def open_bench(drive: Drive, namespace: str, overrides: Mapping[str, Any] | None = None) -> Iterator[Bench]:
    """Start a node and a robot; needs an initialised rclpy.

    Raises:
        TrialError: the node does not start, or does not listen.
    """
    parameters = {**trial_parameters(drive.rig, SHORT_SIDE_PX), **(overrides or {})}
    with ExitStack() as ends:
        robot = Node("trial_robot", namespace=namespace)
        ends.enter_context(spinning(robot))
        node = segmentation_node("segmentation_node", namespace, parameters)
        thread = ends.enter_context(spinning(node))
        bench = Bench(node, robot, drive, thread)
        if not node.start() or not bench.player.wait_for_listeners(1, READY_TIMEOUT_S):
            msg = "trial: the segmentation node did not start; see its log"
            raise TrialError(msg)
        time.sleep(SETTLE_S)
        yield bench
