# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which packages are used, and stand-ins that behave as what they stand in for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from any2seg_core.errors import DependencyError
from any2seg_ros import compat

CACHED = (compat.message_class, compat.message_filters, compat.tf2_ros, compat.cv_bridge, compat.colour_converters)


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of importable packages that hides those of the same name: packages(name, source)."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, source):
        (tmp_path / name).mkdir()
        if source is not None:
            (tmp_path / name / "__init__.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)

    for function in CACHED:
        function.cache_clear()
    yield write
    for name in [name for name in sys.modules if (tmp_path / name.partition(".")[0]).exists()]:
        del sys.modules[name]
    for function in CACHED:
        function.cache_clear()


def test_importing_the_module_imports_no_ros():
    code = "import sys, any2seg_ros.compat, any2seg_ros.conversions, any2seg_ros.event_codecs;"
    code += "print([name for name in sys.modules if name.partition('.')[0] in ('rclpy', 'sensor_msgs', 'torch')])"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_message_classes_by_name():
    image = pytest.importorskip("sensor_msgs.msg").Image
    assert compat.message_class("sensor_msgs/msg/Image") is image


@pytest.mark.parametrize("name", ["no_such_msgs/msg/Image", "sensor_msgs/msg/NoSuch", "", "Image", "../msg/x"])
def test_missing_message_classes(name):
    with pytest.raises(DependencyError, match=r"message type: found no .*expected a package .*; install the package"):
        compat.message_class(name)


def test_optional_types_are_the_class_or_none(packages):
    packages("vision_msgs", "")
    assert compat.optional_type("label_info") is None
    assert compat.available()["vision_msgs/msg/LabelInfo"] == "absent"
    folder = sys.modules["vision_msgs"].__path__[0]
    with open(f"{folder}/msg.py", "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write("class LabelInfo: pass\n")
    compat.message_class.cache_clear()
    assert compat.optional_type("label_info").__name__ == "LabelInfo"
    assert compat.available()["vision_msgs/msg/LabelInfo"] == "distribution"


def test_the_distributions_message_filters_are_preferred(packages):
    packages("message_filters", "class SimpleFilter: pass\nclass Subscriber: pass\nclass Cache: pass\n")
    assert compat.message_filters().Subscriber.__module__ == "message_filters"
    assert compat.available()["message_filters"] == "distribution"


@pytest.mark.parametrize("source", [None, "", "raise RuntimeError('built for another Python')"])
def test_an_empty_or_broken_package_is_stood_in_for(packages, source):
    if source is None and importlib.util.find_spec("message_filters") is not None:
        pytest.skip("Python passes over an empty folder where the real package is installed")
    packages("message_filters", source)
    packages("tf2_ros", source)
    assert compat.message_filters().Subscriber is compat.Subscriber
    assert compat.tf2_ros() is None
    report = compat.available()
    assert (report["message_filters"], report["tf2_ros"]) == ("stand-in", "absent")


def test_the_version_of_a_distributions_package_is_told(packages, tmp_path):
    packages("tf2_ros", "Buffer = TransformListener = object\n")
    info = tmp_path / "tf2_ros-0.36.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tf2_ros\nVersion: 0.36.1\n")
    assert compat.tf2_ros().Buffer is object
    assert compat.available()["tf2_ros"] == "distribution 0.36.1"


BRIDGE = """
import numpy
class CvBridge:
    def imgmsg_to_cv2(self, message, desired_encoding="passthrough"):
        {}
        pixels = numpy.asarray(message.data).reshape(message.height, message.width, -1)[..., ::-1]
        return numpy.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
"""


def test_a_cv_bridge_that_works_comes_first(packages):
    packages("cv_bridge", BRIDGE.format(""))
    assert compat.cv_bridge() is not None
    assert next(iter(compat.colour_converters())) == "cv_bridge"
    image = SimpleNamespace(height=1, width=2, encoding="bayer_rggb8", data=np.array([1, 2], np.uint8))
    assert compat.colour_converters()["cv_bridge"](image).tolist() == [[[1, 1, 1], [2, 2, 2]]]
    assert compat.available()["cv_bridge"] == "distribution"


@pytest.mark.parametrize(
    "source",
    [
        "raise AttributeError('_ARRAY_API not found')",
        BRIDGE.format("raise ImportError('cv_bridge_boost')"),
        BRIDGE.format("return message.data"),
        None,
    ],
)
def test_a_cv_bridge_that_does_not_work_is_passed_over(packages, source):
    packages("cv_bridge", source)
    assert compat.cv_bridge() is None
    assert "cv_bridge" not in compat.colour_converters()
    assert compat.available()["cv_bridge"] in {"stand-in", "absent"}
