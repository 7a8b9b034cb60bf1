# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The colours of a report, by name and for light and dark, and what its readers call the sensors."""

from __future__ import annotations

from typing import Final, TypeAlias

Theme: TypeAlias = "dict[str, str]"

LIGHT: Final[Theme] = {
    "paper": "#f6f7f9", "card": "#ffffff", "ink": "#14181f", "muted": "#566070", "line": "#d9dee6",
    "soft": "#eceff3", "good": "#0b7a4b", "bad": "#c02637", "warn": "#8a5300", "warn-soft": "#fff3dc",
    "good-soft": "#d8f2e4", "bad-soft": "#fbe3e5", "link": "#1a56c4",
    "rgb": "#2563d9", "depth": "#0d8f86", "event": "#cf7a06", "lidar": "#8b3fd1",
    "nir": "#a8325f", "aolp": "#5d7a12", "dolp": "#7a5a3a",
}  # fmt: skip
DARK: Final[Theme] = {
    "paper": "#0e1116", "card": "#171b22", "ink": "#edf0f4", "muted": "#a3adbb", "line": "#303845",
    "soft": "#222833", "good": "#4ed69a", "bad": "#ff7b86", "warn": "#ffc766", "warn-soft": "#33270f",
    "good-soft": "#12382a", "bad-soft": "#3d1b20", "link": "#8db4ff",
    "rgb": "#6ea0ff", "depth": "#3fd0c4", "event": "#ffb445", "lidar": "#c38bff",
    "nir": "#f589b0", "aolp": "#b5d65c", "dolp": "#d6b48c",
}  # fmt: skip
"""Both themes name every sensor's colour by its modality; pairs of ink and ground pass a contrast of 4.5."""

SENSOR_NAMES: Final = {
    "rgb": "Camera",
    "depth": "Depth",
    "event": "Events",
    "lidar": "LiDAR",
    "nir": "Near infrared",
    "aolp": "Polarisation angle",
    "dolp": "Polarisation degree",
}
"""By modality."""


def theme_css(selector: str) -> str:
    """Declare the colours of both themes as CSS variables, chosen by the reader's preference."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in theme.items()) for theme in (LIGHT, DARK))
    return f"{selector}{{{light}}}@media(prefers-color-scheme:dark){{{selector}{{{dark}}}}}"
