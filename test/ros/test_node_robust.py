# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What must not end the node: code that fails in a callback, messages that come late, steps that go wrong half-way."""

import gc
import re
import time

import pytest

from any2seg_core.errors import DependencyError
from any2seg_core.frames import Modality
from any2seg_ros import compat

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
UNCONFIGURED, INACTIVE, ACTIVE = "unconfigured", "inactive", "active"


def state(node):
    return node._state_machine.current_state[1]


def image(robot):
    return robot.message(Modality.RGB)


def test_an_unforeseen_error_in_a_sensors_callback_is_counted_and_the_others_answer(started, capfd):
    node, robot = started

    def converter(_):
        return {}["encoding"]

    node._session.pipeline.intake._converters[Modality.RGB] = converter
    assert robot.drive_until(lambda: any(u == "depth+event+lidar" for u, _ in robot.used_sets()), SENSORS)
    assert robot.wait(lambda: "problem.unexpected KeyError" in robot.health("rgb")[2])
    logged = re.findall(
        r"rgb: unexpected KeyError: 'encoding' \(test_node_robust.py, line \d+\)", capfd.readouterr().err
    )
    assert len(logged) == 1, "told once, not once a message"


def test_an_unforeseen_error_in_a_timer_is_counted_and_the_node_goes_on(started):
    node, robot = started
    poll = node._session.pipeline.intake.poll
    failures = iter([ZeroDivisionError("once")])

    def failing(now_ns):
        for error in failures:
            raise error
        return poll(now_ns)

    node._session.pipeline.intake.poll = failing
    assert robot.wait(lambda: node._session.pipeline.health.problems["synchronizer: unexpected ZeroDivisionError"] == 1)
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)


def test_an_unforeseen_error_of_the_model_is_told_as_such_and_ends_with_the_next_answer(started):
    node, robot = started
    segment = node._session.segmenter.segment

    def failing(_):
        raise RuntimeError("kernel launch failed")

    node._session.segmenter.segment = failing
    assert robot.drive_until(lambda: (robot.health("inference") or [b""])[0] == b"\x02", SENSORS)
    _, text, values = robot.health("inference")
    assert text.startswith("no answer: kernel launch failed (")
    assert int(values["problem.unexpected RuntimeError"]) >= 1
    node._session.segmenter.segment = segment
    assert robot.drive_until(lambda: robot.health("inference")[0] != b"\x02", SENSORS)


def test_a_robot_that_lost_all_sensors_is_blind_and_that_is_an_error(started):
    _, robot = started
    assert robot.wait(lambda: robot.health("inference"))
    assert robot.health("inference")[:2] == (b"\x03", "waiting for the first sensor")
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    assert robot.wait(lambda: robot.health("inference")[:2] == (b"\x02", "blind: no sensor lives"))


@pytest.mark.parametrize("step", ["trigger_deactivate", "stop"])
def test_callbacks_under_way_when_the_node_is_taken_down_do_nothing(started, step):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    session = node._session
    getattr(node, step)()
    received = session.pipeline.intake.states(0)[Modality.RGB].received
    cleared = []
    for callback in (session.poll, session.tell_health, lambda: session.forget("late", lambda: cleared.append(True))):
        callback()
    node._clock_jumped(None)
    session.take(Modality.RGB, image(robot))
    session.see_camera_info(Modality.RGB, None)
    assert session.pipeline.intake.states(0)[Modality.RGB].received == received
    assert not any("unexpected" in kind for kind in session.pipeline.health.problems)
    assert cleared == []


def test_nothing_is_published_and_nobody_listens_once_the_node_is_inactive(started):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    node.trigger_deactivate()
    assert state(node) == INACTIVE
    assert node._session.worker is None
    assert robot.wait(lambda: not any(port.get_subscription_count() for port in robot.ports.values()))
    time.sleep(0.1)
    before = len(robot.heard.diagnostics)
    time.sleep(0.3)
    assert len(robot.heard.diagnostics) == before


def test_a_library_that_fails_at_configure_is_told_and_the_node_can_be_configured_again(stage, monkeypatch, capfd):
    from any2seg_ros import node as module

    node = stage.segmentation_node()

    def failing(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "EnduringSegmenter", failing)
        assert not node.start()
    assert state(node) == UNCONFIGURED
    errors = capfd.readouterr().err
    assert "not configured: unexpected OSError: no space left on device" in errors
    assert "Traceback" in errors
    assert node.start()
    assert state(node) == ACTIVE


def test_a_failed_activation_takes_everything_back_and_can_be_tried_again(stage, monkeypatch, capfd):
    from any2seg_ros import node as module

    node = stage.segmentation_node()
    known = len(list(node.subscriptions)), len(list(node.timers))
    message_type = module.message_type

    def without_lidar(modality, *settings):
        if modality is Modality.LIDAR:
            raise DependencyError("no such package")
        return message_type(modality, *settings)

    with monkeypatch.context() as patch:
        patch.setattr(module, "message_type", without_lidar)
        assert not node.start()
    assert state(node) == INACTIVE
    assert "not activated: no such package" in capfd.readouterr().err
    assert (len(list(node.subscriptions)), len(list(node.timers))) == known
    assert (node._session.worker, node._sensors) == (None, {})
    node.trigger_activate()
    assert state(node) == ACTIVE


def test_taking_the_node_down_gives_everything_back(stage):
    node = stage.segmentation_node()
    before = [len(list(things)) for things in (node.publishers, node.subscriptions, node.timers)]
    for _ in range(2):
        assert node.start()
        node.trigger_deactivate()
        node.trigger_cleanup()
        gc.collect()
        assert [len(list(things)) for things in (node.publishers, node.subscriptions, node.timers)] == before
        assert (node._session, node._tf) == (None, None)


def test_a_jump_of_the_clock_clears_frames_and_transforms(started):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    cleared = []
    node._tf.clear = lambda: cleared.append(True)
    node._clock_jumped(None)
    assert cleared == [True]
    assert node._session.pipeline.intake._synchronizer.last_reset == "clock jumped back"
    count = len(robot.heard.labels)
    assert robot.drive_until(lambda: len(robot.heard.labels) > count, SENSORS)


def test_with_simulated_time_that_stands_still_sensors_that_die_are_still_seen_to(stage):
    from rclpy.parameter import Parameter

    node = stage.segmentation_node()
    node.set_parameters([Parameter("use_sim_time", value=True)])
    robot = stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.DEPTH].get_subscription_count())
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS[:2])
    assert robot.drive_until(lambda: robot.used_sets()[-1][0] == "depth", SENSORS[1:2])
    assert robot.wait(lambda: robot.health("rgb")[1] == "absent")


def test_sensors_that_the_checkpoint_does_not_know_are_named(stage, monkeypatch, capfd):
    from any2seg_ros import node as module

    opened = module.EnduringSegmenter
    monkeypatch.setattr(module, "EnduringSegmenter", lambda config, _: opened(config, [Modality.RGB]))
    node = stage.segmentation_node(name="rgb_only")
    assert node.start()
    assert "not subscribed to depth, event, lidar: checkpoint 'untrained' lacks it" in capfd.readouterr().err


def test_label_meanings_are_latched_where_vision_msgs_is_installed(stage, monkeypatch):
    """vision_msgs is not on PyPI: any type with its fields' names shows that it is published, and with which QoS."""
    stand_in = compat.message_class("diagnostic_msgs/msg/DiagnosticArray")
    optional = compat.optional_type
    types = {"label_info": stand_in, "vision_class": object}
    monkeypatch.setattr(compat, "optional_type", lambda name: types.get(name) or optional(name))
    filled = []
    monkeypatch.setattr("any2seg_ros.outputs.fill_label_info", lambda message, *_, **values: filled.append(values))
    from rclpy.qos import DurabilityPolicy, QoSProfile

    node = stage.segmentation_node()
    assert node.start()
    robot, heard = stage.robot(), []
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    robot.node.create_subscription(stand_in, "/segmentation_node/label_info", heard.append, late)
    assert robot.wait(lambda: heard)
    from rclpy.parameter import Parameter

    assert node.set_parameters([Parameter("output.confidence_floor", value=0.25)])[0].successful
    assert robot.wait(lambda: len(heard) > 1)
    assert [values["threshold"] for values in filled] == [0.0, 0.25]
    # With every output too, if asked, under its header.
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    assert len(filled) == 2
    assert node.set_parameters([Parameter("output.label_info_with_labels", value=True)])[0].successful
    assert robot.drive_until(lambda: len(filled) >= 5, SENSORS)
    stamps, told = robot.stamps(), [(values["frame_id"], values["stamp_ns"]) for values in filled[2:4]]
    assert {frame_id for frame_id, _ in told} == {"camera"}
    assert {stamp for _, stamp in told} <= set(stamps)
