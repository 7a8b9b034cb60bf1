# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Memory, through real topics: what the node does when it does not suffice, and that it is given back."""

import gc
import weakref

import pytest
import torch
from torch import nn

from any2seg_core.frames import Modality

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)


class FullAbove(nn.Module):
    """An encoder that has no memory for images of more than so many rows."""

    def __init__(self, encoder, rows):
        super().__init__()
        self.encoder, self.rows = encoder, rows

    def forward(self, pixels, slots):
        if pixels.shape[-2] > self.rows:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.encoder(pixels, slots)


def network(node):
    return node._session.segmenter._segmenter._model


def test_out_of_memory_the_node_goes_on_with_a_smaller_input_and_warns_once(stage, capfd):
    node = stage.segmentation_node(inference__short_side_px=128, inference__min_short_side_px=32)
    robot = stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.DEPTH].get_subscription_count())
    sensors = SENSORS[:2]
    assert robot.drive_until(lambda: robot.heard.labels, sensors)
    network(node).encoder = FullAbove(network(node).encoder, 64)
    degraded = "model input lowered to 64 px on cpu: segmenter: memory does not suffice (CUDA out of memory"

    def told():
        level, text, values = robot.health("inference") or (b"", "", {})
        return degraded in text and level == b"\x01" and values["short_side_px"] == "64"

    assert robot.drive_until(told, sensors)
    count = len(robot.heard.labels)
    assert robot.drive_until(lambda: len(robot.heard.labels) > count + 5, sensors)
    assert {(m.height, m.width) for m in robot.heard.labels} == {(48, 64)}, "labels keep the camera's size"
    assert capfd.readouterr().err.count(f"inference: {degraded}") == 1


def test_out_of_memory_with_nothing_left_to_give_up_is_an_error_until_there_is_some(started):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    full = FullAbove(network(node).encoder, 0)
    network(node).encoder = full
    error = "no answer: segmenter: memory does not suffice"
    assert robot.drive_until(lambda: (robot.health("inference") or (0, ""))[1].startswith(error), SENSORS)
    assert robot.health("inference")[0] == b"\x02"
    full.rows = 1000
    assert robot.drive_until(lambda: robot.health("inference")[0] != b"\x02", SENSORS)


@pytest.mark.parametrize("end", ["trigger_cleanup", "stop", "trigger_shutdown"])
def test_the_model_is_gone_when_the_node_is_taken_down(stage, end):
    node, robot = stage.segmentation_node(), stage.robot()
    assert node.start()
    assert robot.wait(lambda: robot.ports[Modality.RGB].get_subscription_count())
    assert robot.drive_until(lambda: len(robot.heard.labels) >= 2, SENSORS)
    model, weight = weakref.ref(network(node)), weakref.ref(next(network(node).parameters()))
    if end == "trigger_cleanup":
        node.trigger_deactivate()
        assert model() is not None
    # With the collector off only what the node does itself can free it.
    gc.disable()
    try:
        getattr(node, end)()
        assert (model(), weight()) == (None, None)
    finally:
        gc.enable()


def test_a_model_that_was_replaced_is_gone(started):
    node, robot = started
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    old = weakref.ref(network(node))
    client = robot.node.create_client(_trigger(), "/segmentation_node/reload_checkpoint")
    assert client.wait_for_service(10)
    future = client.call_async(_trigger().Request())
    assert robot.drive_until(future.done, SENSORS, timeout_s=60)
    assert future.result().success
    assert old() is None
    assert network(node) is not None


def _trigger():
    from any2seg_ros import compat

    return compat.service_class("std_srvs/srv/Trigger")
