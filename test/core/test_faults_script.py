# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Fault scripts as files: what is read, and every way of getting one wrong."""

from pathlib import Path

import pytest

from any2seg_core.errors import ConfigError
from any2seg_core.faults import KINDS, Dropout, FaultScript, Noise

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "config" / "faults").glob("*.yaml"))


def test_a_script_is_read_from_yaml(tmp_path):
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 7\nfaults:\n  - {sensor: rgb, kind: dropout, start_s: 2, end_s: 4.5, what: unplugged}\n")
    script = FaultScript.from_yaml(path)
    assert script == FaultScript(seed=7, faults=[Dropout(sensor="rgb", start_s=2.0, end_s=4.5, what="unplugged")])
    assert script.faults[0].until_s == 4.5


def test_an_empty_file_is_a_script_without_faults(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing fails\n")
    assert FaultScript.from_yaml(tmp_path / "empty.yaml").faults == []


def test_what_is_written_as_json_is_read_as_yaml(tmp_path):
    script = FaultScript.from_yaml(EXAMPLES[0])
    (tmp_path / "again.yaml").write_text(script.model_dump_json(exclude_none=True))
    assert FaultScript.from_yaml(tmp_path / "again.yaml") == script


def test_the_examples_are_scripts_and_show_every_kind():
    scripts = {path.stem: FaultScript.from_yaml(path) for path in EXAMPLES}
    assert len(scripts) >= 3
    assert {fault.kind for script in scripts.values() for fault in script.faults} == set(KINDS)


def test_every_kind_stands_under_its_own_name():
    assert {name: kind(sensor="lidar" if name == "sector_loss" else "depth").kind for name, kind in KINDS.items()} == {
        name: name for name in KINDS
    }


@pytest.mark.parametrize(
    ("sensor", "parameter", "strength"),
    [("rgb", "sigma_grey", 25.0), ("nir", "sigma_grey", 25.0), ("depth", "sigma_m", 0.3), ("event", "events_hz", 1.0)],
)
def test_noise_has_a_default_in_the_unit_of_the_sensor(sensor, parameter, strength):
    assert (Noise(sensor=sensor).parameter, Noise(sensor=sensor).strength) == (parameter, strength)
    assert Noise(sensor=sensor, **{parameter: 2.0}).strength == 2.0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kind": "dropout", "strat_s": 2}, r"faults.0.strat_s: 'strat_s' is not .* nearest is 'start_s' of dropout"),
        ({"kind": "freez"}, r"faults.0: found kind 'freez', expected one of dropout, .*; the nearest is 'freeze'"),
        ({"kind": 3}, r"faults.0: found kind 3, expected one of"),
        ({}, r"faults.0: found no kind, expected one of dropout"),
        ({"kind": "dropout", "sensor": "cam"}, r"faults.0.sensor: found 'cam', this kind of fault knows rgb, depth,"),
        (
            {"kind": "dirt", "sensor": "lidar"},
            r"sensor: found 'lidar', this kind of fault knows rgb, depth, event, nir",
        ),
        ({"kind": "sector_loss"}, r"sensor: found 'rgb', this kind of fault knows lidar"),
        ({"kind": "dropout", "start_s": -1.0}, r"faults.0.start_s: found -1.0, input should be greater than or equal"),
        ({"kind": "dropout", "start_s": "2"}, r"faults.0.start_s: found '2', input should be a valid number"),
        ({"kind": "dropout", "start_s": 3.0, "end_s": 3.0}, r"faults.0: end_s 3.0 must be above start_s 3.0"),
        ({"kind": "dropout", "end_s": 3.0, "duration_s": 1.0}, r"end_s 3.0 and duration_s 1.0 are two answers"),
        ({"kind": "dropout", "start_s": float("nan")}, r"start_s: found nan, input should be a finite number"),
        ({"kind": "freeze", "stamps": "odd"}, r"faults.0.stamps: found 'odd', input should be 'new' or 'old'"),
        ({"kind": "packet_loss", "share": 1.2}, r"share: found 1.2, input should be less than or equal to 1"),
        ({"kind": "low_rate", "keep_each": 1}, r"keep_each: found 1, input should be greater than or equal to 2"),
        ({"kind": "noise", "sigma_m": 1.0}, r"faults.0: sigma_m says nothing about sensor 'rgb'; its noise is sigma_g"),
        ({"kind": "sector_loss", "sensor": "lidar", "to_deg": -45.0}, r"from_deg -45.0 must differ from to_deg"),
    ],
)
def test_a_wrong_fault_is_refused(fault, message):
    with pytest.raises(ConfigError, match=message):
        FaultScript.from_mapping({"faults": [{"sensor": "rgb", **fault}]})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 3}, "'sed' is not a setting, the nearest is 'seed'"),
        ({"faults": {"kind": "dropout"}}, "faults: input should be a valid list"),
        ({"faults": ["dropout"]}, "faults.0: found 'dropout', expected names and values"),
        ({"faults": [{"kind": "dropout"}]}, "faults.0.sensor: found nothing, expected a value"),
        ([1], r"the whole: found \[1\], expected names and values"),
        (
            {"repeat_s": 2.0, "faults": [{"sensor": "rgb", "kind": "dropout", "start_s": 2.0}]},
            "the whole: repeat_s 2.0 must be above start_s of faults.0, which would never begin",
        ),
    ],
)
def test_a_wrong_script_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        FaultScript.from_mapping(values)


def test_all_problems_are_told_at_once():
    faults = [{"kind": "blank", "sensor": "x"}, {"kind": "blink"}, {"kind": "dirt", "sensor": "rgb", "blob": 3}]
    with pytest.raises(ConfigError, match=r"street.yaml: 4 problem\(s\): .*'x'.*'blink'.*'blobs' of dirt.*'seed'"):
        FaultScript.from_mapping({"faults": faults, "seeds": 1}, source="street.yaml")


def test_unreadable_files_are_told_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"found .*nothing.yaml not readable .*expected a YAML file"):
        FaultScript.from_yaml(tmp_path / "nothing.yaml")
    (tmp_path / "bad.yaml").write_text("faults: [\n")
    with pytest.raises(ConfigError, match=r"^fault script: found .*bad.yaml not readable \([^\n]*\), expected"):
        FaultScript.from_yaml(tmp_path / "bad.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not readable"):
        FaultScript.from_yaml(tmp_path / "bytes.yaml")
