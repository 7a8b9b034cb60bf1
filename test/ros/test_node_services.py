# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Services through real topics: sensors switched off and on, another checkpoint loaded while the node answers."""

import threading

import numpy as np
import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import ClassTable, Modality
from any2seg_core.model import CheckpointInfo, build_model, save_checkpoint
from any2seg_ros import compat
from any2seg_ros.conversions import stamp_ns

SENSORS = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)
ALL = "rgb+depth+event+lidar"
CLASSES = ClassTable(("road", "sky"), np.arange(6, dtype=np.uint8).reshape(2, 3))


class Remote:
    """Calls the node's services from the robot."""

    def __init__(self, robot):
        self.robot = robot
        self.clients = {}

    def begin(self, service, kind="Trigger", **fields):
        cls = compat.service_class(f"std_srvs/srv/{kind}")
        name = f"/segmentation_node/{service}"
        if name not in self.clients:
            self.clients[name] = self.robot.node.create_client(cls, name)
        assert self.clients[name].wait_for_service(10)
        return self.clients[name].call_async(cls.Request(**fields))

    def enable(self, modality, *, on):
        return self.result(self.begin(f"enable_{modality.value}", "SetBool", data=on))

    def reload(self, sensors=()):
        """Reload while sensors go on; gives success and message."""
        return self.result(self.begin("reload_checkpoint"), sensors)

    def result(self, future, sensors=()):
        if sensors:
            assert self.robot.drive_until(future.done, sensors, timeout_s=60)
        assert self.robot.wait(future.done, timeout_s=60)
        return future.result().success, future.result().message


@pytest.fixture(scope="module")
def two_sensors(tmp_path_factory):
    """A checkpoint that knows camera and depth, and two classes."""
    config = ModelConfig(modalities=["rgb", "depth"], embed_dim=16)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoint") / "two"
    info = CheckpointInfo("two", config, PreprocessConfig(), CLASSES)
    save_checkpoint(folder, build_model(config, len(CLASSES)), info)
    return folder


def set_checkpoint(node, value):
    from rclpy.parameter import Parameter

    return node.set_parameters([Parameter("inference.checkpoint", value=str(value))])[0]


def used(robot):
    return robot.used_sets()[-1] if robot.heard.used else ("", {})


def test_a_sensor_is_switched_off_and_on_again(started):
    _, robot = started
    remote = Remote(robot)
    assert robot.drive_until(lambda: used(robot)[0] == ALL, SENSORS)
    assert remote.enable(Modality.LIDAR, on=False) == (True, "lidar disabled; in use: rgb+depth+event")
    assert robot.drive_until(lambda: used(robot)[0] == "rgb+depth+event", SENSORS)
    count = len(robot.heard.used)
    assert robot.drive_until(lambda: len(robot.heard.used) > count + 5, SENSORS)
    assert {(s, values["absent.lidar"]) for s, values in robot.used_sets()[count:]} == {("rgb+depth+event", "disabled")}
    degraded = "degraded: 3 of 4 sensors live (lidar disabled)"
    assert robot.drive_until(lambda: robot.health("inference")[:2] == (b"\x01", degraded), SENSORS)
    level, text, values = robot.health("lidar")
    assert (level, text) == (b"\x01", "disabled")
    assert int(values["received"]) > int(values["used"]), "what it sends is still counted"
    assert remote.enable(Modality.LIDAR, on=True)[0]
    assert robot.drive_until(lambda: used(robot)[0] == ALL, SENSORS)


def test_the_anchor_can_be_switched_off_and_the_last_sensor_cannot(started):
    _, robot = started
    remote = Remote(robot)
    assert robot.drive_until(lambda: used(robot)[0] == ALL, SENSORS)
    for modality in SENSORS[:3]:
        assert remote.enable(modality, on=False)[0]
    assert robot.drive_until(lambda: used(robot)[0] == "lidar", SENSORS)
    assert used(robot)[1]["anchor"] == "lidar"
    refused, why = remote.enable(Modality.LIDAR, on=False)
    assert not refused
    assert why.startswith("lidar is the last sensor that outputs can be made of")
    stamps = robot.stamps()
    assert stamps == sorted(set(stamps))
    # Once the only sensor left dies, the node is blind and says what is switched off.
    blind = "blind: no sensor lives (rgb, depth, event disabled)"
    assert robot.drive_until(lambda: robot.health("inference")[:2] == (b"\x02", blind), SENSORS[:3])


def test_another_checkpoint_takes_over_between_two_frames_and_back(started, two_sensors):
    node, robot = started
    remote = Remote(robot)
    assert remote.enable(Modality.DEPTH, on=False)[0]
    assert robot.drive_until(lambda: used(robot)[0] == "rgb+event+lidar", SENSORS)
    assert set_checkpoint(node, two_sensors).successful
    before = len(robot.heard.labels)
    done, text = remote.reload(SENSORS)
    assert (done, text) == (True, "model 'two' on cpu, 2 classes; in use: rgb")
    assert robot.drive_until(lambda: used(robot)[0] == "rgb" and len(robot.heard.labels) > before + 3, SENSORS)
    # Depth was off before and still is; those that the model does not know are not listened to any more.
    assert used(robot)[1]["absent.depth"] == "disabled"
    assert robot.wait(lambda: not robot.ports[Modality.LIDAR].get_subscription_count())
    assert max(robot.heard.labels[-1].data) < 2
    assert robot.wait(lambda: robot.health("inference")[2]["model"] == "two")
    assert remote.enable(Modality.DEPTH, on=True) == (True, "depth enabled; in use: rgb+depth")
    assert remote.enable(Modality.LIDAR, on=False)[0] is False
    assert robot.drive_until(lambda: used(robot)[0] == "rgb+depth", SENSORS)

    assert set_checkpoint(node, "untrained").successful
    assert remote.reload(SENSORS)[0]
    assert robot.drive_until(lambda: used(robot)[0] == ALL, SENSORS)
    stamps = robot.stamps()
    assert stamps == sorted(set(stamps))


def test_a_checkpoint_that_cannot_be_loaded_leaves_the_old_one_and_says_why(started, two_sensors, tmp_path):
    node, robot = started
    remote = Remote(robot)
    assert robot.drive_until(lambda: used(robot)[0] == ALL, SENSORS)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "checkpoint.json").write_text((two_sensors / "checkpoint.json").read_text())
    (broken / "model.safetensors").write_bytes((two_sensors / "model.safetensors").read_bytes()[:-5])
    for value, why in {"": "is empty", "/nowhere": "/nowhere", broken: "cut off or altered"}.items():
        assert set_checkpoint(node, value).successful
        done, text = remote.reload(SENSORS)
        assert not done
        assert why in text
    for modality in SENSORS[:2]:
        assert remote.enable(modality, on=False)[0]
    assert set_checkpoint(node, two_sensors).successful
    done, text = remote.reload(SENSORS)
    assert not done
    assert "switched off ['depth', 'rgb']" in text
    count = len(robot.heard.labels)
    assert robot.drive_until(lambda: len(robot.heard.labels) > count, SENSORS)


def test_sensors_are_answered_while_a_checkpoint_loads_and_a_cleanup_is_not_held_up(started, monkeypatch):
    from any2seg_ros import node as module

    node, robot = started
    remote = Remote(robot)
    opened, go_on = module.EnduringSegmenter, threading.Event()

    def slow(*settings):
        go_on.wait(60)
        return opened(*settings)

    monkeypatch.setattr(module, "EnduringSegmenter", slow)
    assert robot.drive_until(lambda: robot.heard.labels, SENSORS)
    future, count = remote.begin("reload_checkpoint"), len(robot.heard.labels)
    assert robot.drive_until(lambda: len(robot.heard.labels) > count + 5, SENSORS)
    assert not future.done()
    monkeypatch.undo()
    node.trigger_deactivate()
    node.trigger_cleanup()
    go_on.set()
    done, text = remote.result(future)
    assert not done
    assert "the node was cleaned up while the checkpoint was loading" in text
    assert remote.reload() == (False, "the node is not configured; configure it first")
    assert remote.enable(Modality.RGB, on=False) == (False, "the node is not configured; configure it first")
    # Inactive, both work.
    node.trigger_configure()
    assert remote.enable(Modality.RGB, on=False)[0]
    assert remote.reload()[0]
    node.trigger_activate()
    assert robot.wait(lambda: robot.ports[Modality.DEPTH].get_subscription_count())
    before = {stamp_ns(message.header) for message in robot.heard.used}
    assert robot.drive_until(lambda: stamp_ns(robot.heard.used[-1].header) not in before, SENSORS)
    assert "rgb" not in used(robot)[0]


def test_new_classes_are_told_anew(started, two_sensors, monkeypatch):
    """vision_msgs is not on PyPI: what would be written into its message is looked at instead."""
    node, robot = started
    told = []
    monkeypatch.setattr(node._session.outputs, "publish_label_info", lambda classes, *_, **__: told.append(classes))
    assert set_checkpoint(node, two_sensors).successful
    assert Remote(robot).reload()[0]
    assert Remote(robot).reload()[0]
    assert told == [CLASSES], "once: the second time nothing changed"
