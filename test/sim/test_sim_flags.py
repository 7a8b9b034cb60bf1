# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Every setting of a drive can be told on the command line."""

import argparse
import dataclasses

import pytest

from any2seg_core.errors import ConfigError
from any2seg_sim.flags import drive_flags, drive_settings, image_size
from any2seg_sim.settings import DriveSettings


def parse(*arguments):
    return drive_settings(argparse.ArgumentParser(parents=[drive_flags()]).parse_args(arguments))


def test_without_flags_a_drive_has_its_defaults():
    assert parse() == DriveSettings()


def test_flags_bear_the_settings_names_without_units():
    said = "--size 64x48 --duration 2.5 --rate 20 --fov 90 --speed 3 --lidar-rings 16 --no-noise --seed 7 --start-ns"
    expected = DriveSettings(
        width=64,
        height=48,
        duration_s=2.5,
        rate_hz=20.0,
        fov_deg=90.0,
        speed_mps=3.0,
        lidar_rings=16,
        noise=False,
        seed=7,
        start_ns=12_000_000_000,
    )
    assert parse(*said.split(), "12000000000") == expected


def test_every_setting_has_a_flag_that_says_what_it_means():
    told = argparse.ArgumentParser(parents=[drive_flags()]).parse_args([])
    names = {setting.name for setting in dataclasses.fields(DriveSettings)} - {"width", "height"}
    assert names == set(vars(told)) - {"size"}
    help_text = " ".join(drive_flags().format_help().split())
    for part in ("--duration S length of the drive (10.0)", "--lidar-columns INT", "--noise, --no-noise", "--rate HZ"):
        assert part in help_text
    for action in drive_flags()._actions:
        assert "(%(default)s)" in action.help or action.dest == "size"
        assert action.help.split(" (%")[0] != action.dest, f"{action.dest} is not described in DriveSettings"


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="found fov_deg 500"):
        parse("--fov", "500")
    with pytest.raises(ConfigError, match="--size: found '12', expected WIDTHxHEIGHT, for example 320x240"):
        image_size("12")
    assert image_size("640X480") == (640, 480)
