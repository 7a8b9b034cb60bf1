# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoint that comes with the package: what is trained is what is deployed, on streets that it never saw."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

from any2seg_core.config import SHIPPED, UNTRAINED, InferenceConfig
from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.evaluator import EvalReport, evaluate
from any2seg_core.experiment import DataConfig
from any2seg_core.frames import DELIVER_CLASSES, Modality, subset_key
from any2seg_core.inference import open_segmenter
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_core.model import load_checkpoint
from any2seg_core.model.shipped import find_checkpoint, shipped_names
from any2seg_ros.conversions import make, stamp_ns
from any2seg_sim.dataset.layout import plan_scenes
from any2seg_sim.dataset.recipe import Recipe
from any2seg_sim.dataset.writer import write_dataset
from any2seg_sim.messages import MessageWriter
from any2seg_sim.rig import Rig
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_moments

HELD_OUT = 4
WEATHERS = ("sun", "night")
ALL = tuple(map(Modality, ("rgb", "depth", "event", "lidar")))
PRESENT = AbsentClasses.PRESENT
PERIOD_NS = 200_000_000


def test_it_is_there_and_small():
    folder = find_checkpoint(SHIPPED)
    assert SHIPPED in shipped_names()
    assert folder.is_dir()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10e6


def test_its_card_and_its_scores_are_of_this_very_file():
    folder = find_checkpoint(SHIPPED)
    scores = EvalReport.from_json(json.loads((folder / "scores.json").read_text(encoding="utf-8")))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert scores.name == SHIPPED
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() in card
    assert "Do not drive by it" in card
    assert f"| all sensors | {100 * scores.miou(policy=PRESENT):.1f} |" in card
    assert f"(MISS) | {100 * scores.system_miss(policy=PRESENT):.1f} |" in card
    _, info = load_checkpoint(folder)
    assert info.classes.names == DELIVER_CLASSES.names
    assert tuple(info.model.modalities) == tuple(modality.value for modality in ALL)


def test_the_readme_quotes_its_scores():
    scores = EvalReport.from_json(json.loads((find_checkpoint(SHIPPED) / "scores.json").read_text(encoding="utf-8")))
    given = [ALL, *([one for one in ALL if one is not lost] for lost in ALL), *([alone] for alone in ALL)]
    found = [*(scores.miou(subset, policy=PRESENT) for subset in given), scores.system_miss(policy=PRESENT)]
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(f'{100 * score:.1f}' for score in found)} |" in readme


@pytest.fixture(scope="module")
def recipe():
    return Recipe(DriveSettings(width=256, height=256), frames=2, every_s=5.0)


@pytest.fixture(scope="module")
def scenes():
    return plan_scenes([HELD_OUT], WEATHERS, "none")


@pytest.fixture(scope="module")
def moments(recipe, scenes):
    """Each moment of each scene, with its rig."""
    found = []
    for scene in scenes:
        settings = recipe.settings(scene)
        found += [(Rig.of(settings), moment) for moment in render_moments(settings, recipe.times_s(scene))]
    return found


@pytest.fixture(scope="module")
def offline(recipe, scenes, tmp_path_factory):
    """The score of training/evaluate.py on these frames, written and read as a data set."""
    root = tmp_path_factory.mktemp("street") / "data"
    write_dataset(root, recipe, scenes)
    model, info = load_checkpoint(find_checkpoint(SHIPPED))
    data = DataConfig.from_mapping({"dataset": "street", "root": str(root)}, source="test")
    dataset = open_dataset(data, info.preprocess, model.modalities, split="test")
    batches = eval_loader(dataset, info.preprocess, batch_size=1, workers=0)
    return evaluate(model.eval(), batches, info.classes)


def test_it_has_learnt_something_of_every_sensor(offline):
    """Far above chance, which is 1 in 25 classes; the exact scores are in the model card."""
    assert offline.miou(policy=PRESENT) > 0.4
    for alone in ALL:
        assert offline.miou([alone], policy=PRESENT) > 0.12, alone
    without = [offline.miou([one for one in ALL if one is not lost], policy=PRESENT) for lost in ALL]
    assert min(without) > 0.3


class Robot:
    """Shows moments to a segmentation node, as a robot that stands still sees them, and keeps its answers."""

    def __init__(self, node, name):
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import Image

        from any2seg_ros import compat, qos
        from any2seg_sim.trial.player import NODE_TOPICS

        profile = qos.stream("reliable", 10)
        types = MessageWriter(Rig.of(DriveSettings())).topics
        self.ports = {
            topic: node.create_publisher(compat.message_class(types[topic]), own, profile)
            for topic, own in NODE_TOPICS.items()
        }
        self.labels, self.by_all = {}, set()
        node.create_subscription(Image, f"{name}/labels", self.hear, profile)
        node.create_subscription(DiagnosticArray, f"{name}/used_sensors", self.note, profile)

    def hear(self, message):
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        self.labels[stamp_ns(message.header)] = pixels.copy()

    def note(self, message):
        if message.status[0].message == subset_key(ALL):
            self.by_all.add(stamp_ns(message.header))

    def show(self, rig, moment, later_ns):
        """Send a moment again and again until labels come that all sensors served."""
        from any2seg_ros import compat

        writer = MessageWriter(rig)
        for turn in range(100):
            for reading in (moment.lidar, moment.events, moment.depth, moment.rgb):
                for described in writer.measurement(reading.shifted(later_ns + turn * PERIOD_NS), 0):
                    self.ports[described.topic].publish(make(described.fields, compat.message_class))
            time.sleep(PERIOD_NS * 1e-9)
            for stamp in self.by_all & set(self.labels):
                if stamp >= moment.stamp_ns + later_ns:
                    return self.labels[stamp]
        raise AssertionError("no labels by all sensors")


def test_the_nodes_labels_on_live_topics_score_as_the_offline_evaluation(ros, moments, offline):
    """Real messages over real DDS against pictures from disk: the same frames score the same, within a point."""
    pytest.importorskip("sensor_msgs.msg")
    from rclpy.node import Node

    from any2seg_sim.demo.robot import node_parameters
    from any2seg_sim.trial.nodes import segmentation_node, spinning

    rig = moments[0][0]
    parameters = node_parameters(rig, SHIPPED, 0) | {"autostart": False}
    listener = Node("listener", namespace="/shipped")
    node = segmentation_node("segmentation_node", "/shipped", parameters)
    scored = ConfusionMatrix(DELIVER_CLASSES)
    with spinning(listener), spinning(node):
        robot = Robot(listener, node.get_fully_qualified_name())
        assert node.start()
        while any(port.get_subscription_count() == 0 for port in robot.ports.values()):
            time.sleep(0.05)
        # The streets of all weathers begin at the same time: each moment is sent a minute after the one before.
        for index, (its_rig, moment) in enumerate(moments):
            labels = robot.show(its_rig, moment, index * 60 * 10**9)
            scored.update(labels, moment.rgb.labels)
    assert scored.miou(PRESENT) == pytest.approx(offline.miou(policy=PRESENT), abs=0.01)
    assert scored.pixels == offline.matrix().pixels


def test_a_node_that_is_told_nothing_runs_it():
    assert open_segmenter(InferenceConfig(threads=1, device="cpu"), ALL).name == SHIPPED
    assert open_segmenter(InferenceConfig(checkpoint=UNTRAINED, threads=1, device="cpu"), ALL).name == UNTRAINED
