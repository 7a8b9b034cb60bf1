# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The layouts for RViz and Foxglove: files as those programs write them, and no topic that the node does not have."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS

CONFIG = Path(__file__).resolve().parents[2] / "config"
INPUTS = {f"/{topic}" for topic in (*DATA_TOPICS.values(), *CAMERA_INFO_TOPICS.values())}


@pytest.fixture(scope="module")
def outputs():
    """Every topic that a node without namespace publishes, by what the node's own code asks publishers for."""
    pytest.importorskip("rclpy")
    from any2seg_ros.outputs import Outputs

    kinds = {}
    Outputs(lambda kind, topic, _: kinds.update({topic: kind}), reliability="reliable", name="/segmentation_node")
    return {topic.replace("~", "/segmentation_node"): kind for topic, kind in kinds.items()}


@pytest.fixture(scope="module")
def displays():
    layout = yaml.safe_load((CONFIG / "rviz" / "any2seg.rviz").read_text())
    return {display["Name"]: display for display in layout["Visualization Manager"]["Displays"]}


@pytest.fixture(scope="module")
def foxglove():
    return json.loads((CONFIG / "foxglove" / "any2seg.json").read_text())


@pytest.fixture
def label_map():
    from any2seg_core.frames import DELIVER_CLASSES, LabelMap, Modality

    labels, confidence = np.full((1, 1), 7, np.uint8), np.ones((1, 1), np.float32)
    return LabelMap(labels, confidence, 1, "camera", Modality.RGB, (Modality.RGB,), {}, DELIVER_CLASSES)


def strings(value):
    """All texts in nested lists and mappings, keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def test_rviz_shows_topics_of_the_right_types(displays, outputs):
    expected = {"Image": "Image", "Camera": "Image", "PointCloud2": "PointCloud2"}
    shown = {}
    for display in displays.values():
        kind = display["Class"].removeprefix("rviz_default_plugins/")
        if "Topic" in display:
            shown[display["Topic"]["Value"]] = expected[kind]
    assert {"/segmentation_node/overlay", "/segmentation_node/points"} <= set(shown)
    for topic, kind in shown.items():
        assert topic in INPUTS or outputs[topic].__name__ == kind


def test_rviz_finds_the_camera_info_beside_the_cameras_image(displays, outputs):
    (camera,) = (display for display in displays.values() if display["Class"].endswith("/Camera"))
    assert outputs[camera["Topic"]["Value"].rpartition("/")[0] + "/camera_info"].__name__ == "CameraInfo"
    assert set(camera["Visibility"]) - {"Value"} <= set(displays)


def test_points_are_coloured_by_the_field_that_the_node_writes(displays, foxglove, label_map):
    from any2seg_core.frames import Points
    from any2seg_ros.labelled_cloud import _columns

    points = Points(np.ones((1, 3), np.float32), np.zeros(1, np.float32))
    here = (np.zeros(1, np.intp), np.zeros(1, np.intp))
    columns = _columns(points, label_map, np.zeros(1, np.intp), here)
    red, green, blue = label_map.classes.colourize(label_map.labels)[0, 0].tolist()
    # RViz' RGB8 and Foxglove's rgb read the bits of this float as 0x00RRGGBB.
    assert columns["rgb"].dtype == np.float32
    assert columns["rgb"].view(np.uint32).item() == red << 16 | green << 8 | blue
    assert displays["Labelled points"]["Color Transformer"] == "RGB8"
    shown = foxglove["configById"]["3D!points"]["topics"]["/segmentation_node/points"]
    assert (shown["colorMode"], shown["colorField"]) == ("rgb", "rgb")


def test_rviz_reads_with_best_effort_what_may_be_published_so(displays):
    reliabilities = {display["Topic"]["Reliability Policy"] for display in displays.values() if "Topic" in display}
    assert reliabilities == {"Best Effort"}


def test_foxglove_names_topics_that_exist(foxglove, outputs):
    named = {text.partition(".")[0] for text in strings(foxglove) if text.startswith("/")}
    assert named <= set(outputs)
    assert {"/diagnostics", "/segmentation_node/used_sensors", "/segmentation_node/points"} <= named


def test_foxglove_places_every_panel_once(foxglove):
    def placed(layout):
        return [layout] if isinstance(layout, str) else [*placed(layout["first"]), *placed(layout["second"])]

    assert sorted(placed(foxglove["layout"])) == sorted(foxglove["configById"])
    kinds = {panel.partition("!")[0] for panel in foxglove["configById"]}
    assert kinds == {"Image", "3D", "DiagnosticSummary", "Table", "RosOut"}


def test_foxglove_reads_the_values_of_used_sensors(foxglove, outputs):
    path = foxglove["configById"]["Table!used_sensors"]["topicPath"]
    topic, _, fields = path.partition(".")
    assert outputs[topic].__name__ == "DiagnosticArray"
    assert fields == "status[0].values"
    message = outputs[topic]()
    assert hasattr(message, "status")
