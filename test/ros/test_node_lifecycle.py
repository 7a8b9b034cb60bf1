# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Transitions that break: the node ends unconfigured, holds nothing, and can be configured again."""

import pytest

from any2seg_core.frames import Modality

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
UNCONFIGURED, INACTIVE, ACTIVE = "unconfigured", "inactive", "active"


def state(node):
    return node._state_machine.current_state[1]


def held(node):
    return [len(list(things)) for things in (node.publishers, node.subscriptions, node.timers)]


def broken(*_):
    raise OSError("the middleware is gone")


@pytest.fixture
def brought_up(stage):
    """A node, a robot, and what the node held before it was started."""
    node, robot = stage.segmentation_node(), stage.robot()
    before = held(node)
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.RGB].get_subscription_count())
    return node, robot, before


def answers(node, robot):
    """Whether the node can be brought up again and then answers."""
    assert node.start()
    assert state(node) == ACTIVE
    assert robot.wait(lambda: robot.ports[Modality.RGB].get_subscription_count())
    count = len(robot.heard.labels)
    return robot.drive_until(lambda: len(robot.heard.labels) > count, SENSORS)


def test_a_deactivation_that_breaks_undoes_all_the_rest_and_unconfigures(brought_up, capfd):
    node, robot, before = brought_up
    session = node._session
    node._active.callback(broken)
    node._sensors[Modality.DEPTH].callback(broken)
    node.trigger_deactivate()
    assert (state(node), held(node)) == (UNCONFIGURED, before)
    assert (node._session, session.worker, session.closed) == (None, None, True)
    errors = capfd.readouterr().err
    assert "not deactivated: unexpected OSError: the middleware is gone" in errors
    assert "error while active: back to unconfigured" in errors
    assert answers(node, robot)


def test_a_cleanup_that_breaks_undoes_all_the_rest(brought_up, capfd):
    node, robot, before = brought_up
    node._configured.callback(broken)
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert (state(node), held(node)) == (UNCONFIGURED, before)
    assert "not cleaned up: unexpected OSError: the middleware is gone" in capfd.readouterr().err
    assert answers(node, robot)


def test_an_activation_that_breaks_unconfigures(stage, monkeypatch, capfd):
    node, robot = stage.segmentation_node(), stage.robot()
    before = held(node)
    with monkeypatch.context() as patch:
        patch.setattr(node, "_watch_clock", broken)
        assert not node.start()
    assert (state(node), held(node), node._session) == (UNCONFIGURED, before, None)
    assert "not activated: unexpected OSError: the middleware is gone" in capfd.readouterr().err
    assert answers(node, robot)


def test_a_configuration_that_breaks_half_way_holds_nothing(stage, monkeypatch):
    node, robot = stage.segmentation_node(), stage.robot()
    before = held(node)
    with monkeypatch.context() as patch:
        patch.setattr("any2seg_ros.node.Session", broken)
        assert not node.start()
    assert (state(node), held(node), node._tf) == (UNCONFIGURED, before, None)
    assert answers(node, robot)
