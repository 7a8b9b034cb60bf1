# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The settings of a drive as flags of a command line: every setting has one, under its name without the unit."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import ConfigError
from any2seg_sim.settings import DriveSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNIT: Final = re.compile(r"_(s|hz|deg|mps|m|px)$")
_KINDS: Final = (int, float, str)


def drive_flags() -> argparse.ArgumentParser:
    """Make a parent parser with --size and one flag for each other setting of a drive."""
    default = DriveSettings()
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("drive")
    group.add_argument("--size", default=f"{default.width}x{default.height}", help="image size, WIDTHxHEIGHT")
    meanings = _meanings()
    for setting in _flagged():
        value, unit = setting.default, _UNIT.search(setting.name)
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
        if not isinstance(value, bool):
            how = {"type": type(value), "metavar": unit[1].upper() if unit else type(value).__name__.upper()}
        flag = f"--{_UNIT.sub('', setting.name).replace('_', '-')}"
        text = f"{meanings.get(setting.name, setting.name)} (%(default)s)"
        group.add_argument(flag, dest=setting.name, default=value, help=text, **how)
    return parser


def drive_settings(options: argparse.Namespace) -> DriveSettings:
    """Read the settings back from a command line that was parsed with drive_flags.

    Raises:
        ConfigError: they are impossible.
    """
    width, height = image_size(options.size)
    values = {setting.name: getattr(options, setting.name) for setting in _flagged()}
    return DriveSettings(width=width, height=height, **values)


def image_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT.

    Raises:
        ConfigError: it is something else.
    """
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        msg = f"--size: found {text!r}, expected WIDTHxHEIGHT, for example 320x240"
        raise ConfigError(msg) from None
    return width, height


def _flagged() -> Iterator[Field[Any]]:
    """List the settings that are one plain value; width and height are told as --size."""
    for setting in fields(DriveSettings):
        if setting.name not in ("width", "height") and isinstance(setting.default, _KINDS):
            yield setting


def _meanings() -> dict[str, str]:
    """Read what each setting means where it is written: under Attributes of the class."""
    _, _, attributes = (inspect.getdoc(DriveSettings) or "").partition("Attributes:\n")
    found = {}
    for entry in re.split(r"\n(?=    \w)", attributes.partition("\n\n")[0]):
        names, _, meaning = entry.partition(":")
        text = " ".join(meaning.split()).rstrip(".").replace("%", "%%")
        found.update(dict.fromkeys((name.strip() for name in names.split(",")), text))
    return found
