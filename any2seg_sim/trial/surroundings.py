# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a node rather than in a sensor: calibration, TF, its own life cycle, a neighbour."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from rclpy.lifecycle import TransitionCallbackReturn

from any2seg_core.frames import Modality
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS
from any2seg_sim.trial.bench import ALL, READY_TIMEOUT_S, SHORT_SIDE_PX, Bench, Fault, Timing, TrialError, open_bench
from any2seg_sim.trial.ear import Ear
from any2seg_sim.trial.nodes import segmentation_node, spinning, trial_parameters
from any2seg_sim.trial.player import NODE_TOPICS
from any2seg_sim.trial.row import steps_back
from any2seg_sim.trial.tf import Mount, tf_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from any2seg_sim.messages import TopicMessage
    from any2seg_sim.trial.player import Drive
    from any2seg_sim.trial.row import Row

LATE_TF_S: Final = 0.5
"""More than lidar.tf_tolerance_s and less than a fault lasts."""
REST_PERIODS: Final = 2
"""Camera images that an inactive node misses."""
MOMENTS_S: Final = (0.002, 0.01, 0.02, 0.03, 0.05)
"""How long after a camera image the node is deactivated, in turn: before, in and after the work on its frame."""
_LIDAR: Final = Modality.LIDAR.value
_INFOS: Final = frozenset(CAMERA_INFO_TOPICS.values())


def _camera_info_missing(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    def spoil(described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
        return [] if NODE_TOPICS[described.topic] in _INFOS else [(0, message)]

    with open_bench(drive, namespace) as bench:
        return bench.go_through(Fault(name, _LIDAR, "no_calibration", spoil=spoil, at_once=True), timing)


def _camera_info_changing(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    """Every CameraInfo has another focal length, and every third one is of another sensor."""
    count = 0

    def spoil(described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
        nonlocal count
        if NODE_TOPICS[described.topic] in _INFOS:
            count += 1
            message.k[0] = message.k[4] = message.k[0] * (1 + 0.1 * (count % 5))
            message.width = message.width // 2 if count % 3 == 0 else message.width
        return [(0, message)]

    with open_bench(drive, namespace) as bench:
        bench.settle()
        return bench.go_through(Fault(name, _LIDAR, r"calibration \+|no_calibration", spoil=spoil), timing)


def _tf_missing(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    mount = Mount(drive.rig)
    mount.known = False
    return _with_tf(name, drive, namespace, timing, mount)


def _tf_late(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    mount = Mount(drive.rig)
    mount.late_s = LATE_TF_S
    return _with_tf(name, drive, namespace, timing, mount)


def _with_tf(name: str, drive: Drive, namespace: str, timing: Timing, mount: Mount) -> Row:
    fault = Fault(name, _LIDAR, "no_transform", at_once=True, mend=mount.mend)
    with tf_of(mount), open_bench(drive, namespace, {"lidar.extrinsic": [0.0] * 7}) as bench:
        return bench.go_through(fault, timing)


class _Switcher:
    """Deactivates a node soon after a camera image, and activates it again some images later."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._images = 0
        self._resting = threading.Lock()
        self._rests: list[tuple[int, int]] = []
        self._failed: list[str] = []

    def spoil(self, described: TopicMessage, message: Any) -> list[tuple[int, Any]]:
        """Count camera images; act at some of them."""
        if NODE_TOPICS[described.topic] == DATA_TOPICS[Modality.RGB]:
            turn, place = divmod(self._images, REST_PERIODS + 2)
            self._images += 1
            if place == 0 and not self._resting.locked():
                threading.Timer(MOMENTS_S[turn % len(MOMENTS_S)], self._rest).start()
        return [(0, message)]

    def _rest(self) -> None:
        node, player = self._bench.node, self._bench.player
        with self._resting:
            stopped = node.trigger_deactivate()
            begin_ns = player.now_ns()
            time.sleep(REST_PERIODS * player.drive.period_ns * 1e-9)
            end_ns = player.now_ns()
            if not (stopped == node.trigger_activate() == TransitionCallbackReturn.SUCCESS):
                self._failed.append("a transition failed")
            self._rests.append((begin_ns, end_ns))

    @property
    def rests(self) -> int:
        """How often the node was inactive."""
        return len(self._rests)

    def problems(self) -> list[str]:
        """Name what must not be: answers to what was measured while the node was inactive."""
        player, outputs = self._bench.player, self._bench.ear.outputs
        wrong = sum(
            begin_ns < output.stamp_ns and output.heard_ns < player.steady_ns(end_ns)
            for begin_ns, end_ns in self._rests
            for output in outputs
            if output.heard_ns > player.steady_ns(begin_ns)
        )
        return [*self._failed, *([f"{wrong} outputs of an inactive node"] if wrong else [])]


def _deactivated(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    with open_bench(drive, namespace) as bench:
        bench.settle()
        switcher = _Switcher(bench)
        row = bench.go_through(Fault(name, _LIDAR, spoil=switcher.spoil), timing)
        said = f"{switcher.rests} times inactive for {REST_PERIODS} images; {row.said}"
        return replace(row, said=said, problems=(*row.problems, *switcher.problems()))


def _two_nodes(name: str, drive: Drive, namespace: str, timing: Timing) -> Row:
    """A second node beside the first: both answer everything, and the first does when the second has gone."""
    with open_bench(drive, namespace) as bench:
        with _second(bench, drive, namespace) as ear:
            bench.settle()
            ear.clear()
            row = bench.go_through(Fault(name, _LIDAR), timing)
            begin, end = bench.window_ns
            published = sum(begin < output.heard_ns <= end for output in ear.outputs)
            problems = [*row.problems, *steps_back(ear.outputs, jumps=False)]
            if not ear.served or ear.served[-1].sensors != ALL:
                problems.append("not all sensors served the second node")
        bench.settle()
    # Both are expected to answer everything.
    return replace(row, expected=2 * row.expected, published=row.published + published, problems=tuple(problems))


@contextmanager
def _second(bench: Bench, drive: Drive, namespace: str) -> Iterator[Ear]:
    node = segmentation_node("second_node", namespace, trial_parameters(drive.rig, SHORT_SIDE_PX))
    with spinning(node):
        ear = Ear(bench.robot, node.get_fully_qualified_name())
        if not node.start() or not bench.player.wait_for_listeners(2, READY_TIMEOUT_S):
            msg = "trial: the second segmentation node did not start; see its log"
            raise TrialError(msg)
        yield ear


SURROUNDINGS: Final[dict[str, Callable[[str, Drive, str, Timing], Row]]] = {
    "CameraInfo missing": _camera_info_missing,
    "CameraInfo changing": _camera_info_changing,
    "TF missing": _tf_missing,
    f"TF {LATE_TF_S * 1e3:.0f} ms late": _tf_late,
    "node deactivated mid-frame": _deactivated,
    "two nodes in one process": _two_nodes,
}
"""How each is tried, by the name of its row."""
