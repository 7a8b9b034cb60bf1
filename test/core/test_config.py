# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings: what is refused and how it is said, and that everything derived from the fields agrees with them."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from any2seg_core.config import ModelConfig, NodeConfig, PreprocessConfig, describe, nest
from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_ros.parameter_table import table

ROOT = Path(__file__).resolve().parents[2]

WRONG = {
    "unknown group": ({"snyc": {"max_wait_s": 1.0}}, r"'snyc' is not a setting, the nearest is '"),
    "unknown key": ({"sync": {"max_wait": 1.0}}, r"'sync.max_wait' is not a setting, the nearest is 'sync.max_wait_s'"),
    "too large": (
        {"sync": {"max_wait_s": 11.0}},
        r"sync.max_wait_s: found 11.0, input should be less than or equal to 10",
    ),
    "text for number": (
        {"output": {"overlay_alpha": "x"}},
        r"output.overlay_alpha: found 'x', input should be a valid n",
    ),
    "number for text": ({"inference": {"device": 3}}, r"inference.device: found 3, input should be a valid string"),
    "bool for int": (
        {"inference": {"threads": True}},
        r"inference.threads: found True, input should be a valid integer",
    ),
    "no such choice": (
        {"rgb": {"reliability": "maybe"}},
        r"rgb.reliability: found 'maybe', input should be 'best_effort'",
    ),
    "unknown modality": ({"modalities": ["rbg"]}, r"modalities: found \['rbg'\], each name once, out of rgb, depth, e"),
    "twice": ({"modalities": ["rgb", "rgb"]}, r"each name once"),
    "empty": ({"modalities": []}, r"modalities: found \[\], list should have at least 1 item"),
    "anchors elsewhere": ({"modalities": ["lidar"], "sync": {"anchors": ["rgb"]}}, r"must name at least one of modal"),
    "half a view": ({"view": {"width_px": 640}}, r"width_px 640 needs height_px, fx_px and fy_px above 0 too"),
    "short extrinsic": (
        {"lidar": {"extrinsic": [0.0]}},
        r"lidar.extrinsic: found \[0.0\], list should have at least 7",
    ),
    "events without size": ({"event": {"message": "point_cloud"}}, r"point_cloud needs width_px and height_px"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_refused_with_what_was_expected(case):
    values, message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        NodeConfig.from_mapping(values)


def test_several_problems_are_told_together_with_their_source():
    with pytest.raises(ConfigError, match=r"robot\.yaml: 2 problem\(s\): .*overlay_alpha.*; .*'foo' is not a setting"):
        NodeConfig.from_mapping({"output": {"overlay_alpha": 3.0}, "foo": 1}, source="robot.yaml")


@pytest.mark.parametrize("low", ["lidar_min_range_m", "lidar_height_min_m", "depth_min_m"])
def test_ranges_must_be_in_order(low):
    high = low.replace("min", "max")
    upper = PreprocessConfig.model_fields[high].default
    bad = {low: 50.0, high: 40.0} if low != "lidar_height_min_m" else {low: upper + 1}
    with pytest.raises(ConfigError, match=f"{low} .* must be below {high}"):
        PreprocessConfig.from_mapping(bad)


def test_defaults_are_valid_and_frozen():
    config = NodeConfig()
    assert NodeConfig.from_mapping(config.model_dump()) == config
    with pytest.raises(ValidationError, match="frozen"):
        config.autostart = False


def test_each_sensor_has_its_settings():
    config = NodeConfig.from_mapping({"lidar": {"slop_s": 0.1}})
    assert config.sensor(Modality.LIDAR).slop_s == 0.1
    assert config.sensor(Modality.RGB).slop_s == 0.05


@pytest.mark.parametrize("settings", [NodeConfig, ModelConfig, PreprocessConfig])
def test_every_field_can_be_a_ros_parameter(settings):
    for setting in describe(settings):
        assert setting.type in (bool, int, float, str, list), setting
        assert isinstance(setting.default, setting.type), setting
        assert setting.description, f"{setting.name} has no description"
        if setting.type is list:
            assert setting.default, f"{setting.name}: ROS cannot tell the type of an empty list"


def test_flat_names_become_groups():
    assert nest({"a": 1, "b.c": 2, "b.d.e": 3}) == {"a": 1, "b": {"c": 2, "d": {"e": 3}}}


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_yaml_holds_only_known_settings(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))["/**"]["ros__parameters"]
    NodeConfig.from_mapping(nest(values), source=path.name)


def test_the_parameter_page_is_up_to_date():
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == table(), "run make docs"
