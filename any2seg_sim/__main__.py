# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Command line of the street simulator: write a bag, publish live, or draw a preview."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any, Final

from any2seg_core.errors import Any2SegError, ConfigError, DependencyError
from any2seg_sim.messages import DEPTH_ENCODINGS, EVENT_FORMATS
from any2seg_sim.preview import write_preview
from any2seg_sim.settings import DriveSettings

_FLAGS: Final = (
    ("--seed", "seed", int, "decides everything that chance decides"),
    ("--duration", "duration_s", float, "length of the drive, seconds"),
    ("--rate", "rate_hz", float, "camera images per second"),
    ("--fov", "fov_deg", float, "horizontal field of view, degrees"),
    ("--speed", "speed_mps", float, "mean speed, metres per second"),
    ("--subframes", "subframes", int, "event camera's sub-frames per camera image"),
    ("--samples", "samples", int, "rays per pixel: 1, 2 or 4"),
    ("--lidar-rate", "lidar_rate_hz", float, "LiDAR sweeps per second"),
    ("--lidar-rings", "lidar_rings", int, "rings of the LiDAR"),
    ("--lidar-columns", "lidar_columns", int, "measurements per turn and ring"),
    ("--event-threshold", "event_threshold", float, "change of log intensity that makes an event"),
    ("--start-ns", "start_ns", int, "stamp of the start in a bag, nanoseconds since 1970"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0 when it is done and 2 when it cannot be."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        status: int = options.run(options, settings)
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _bag(options: argparse.Namespace, settings: DriveSettings) -> int:
    recording = _part("recording", "rosbags to write bags; pip install rosbags")
    counts = recording.write_bag(options.out, settings, progress=True, **_stream_options(options))
    width = max(map(len, counts))
    for topic, count in sorted(counts.items()):
        print(f"{topic:{width}}  {count}")
    return 0


def _live(options: argparse.Namespace, settings: DriveSettings) -> int:
    live = _part("live", "rclpy to publish; source ROS 2, or write a bag instead")
    count = live.publish_drive(settings, loop=options.loop, progress=True, **_stream_options(options))
    print(f"{count} readings published")
    return 0


def _part(name: str, needs: str) -> Any:
    """Import a module of the simulator that stands on an optional package."""
    try:
        return importlib.import_module(f"any2seg_sim.{name}")
    except ImportError as error:
        msg = f"street simulator: found that {error}, expected {needs}"
        raise DependencyError(msg) from error


def _preview(options: argparse.Namespace, settings: DriveSettings) -> int:
    write_preview(options.out, settings, moments=options.moments)
    print(options.out)
    return 0


def _stream_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "event_format": options.event_format,
        "depth_encoding": options.depth_encoding,
        "workers": options.workers,
    }


def _settings(options: argparse.Namespace) -> DriveSettings:
    width, height = _size(options.size)
    values = {name: getattr(options, name) for _, name, *_ in _FLAGS}
    return DriveSettings(width=width, height=height, noise=not options.no_noise, **values)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        msg = f"--size: found {text!r}, expected WIDTHxHEIGHT, for example 320x240"
        raise ConfigError(msg) from None
    return width, height


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="street_simulator", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    common = _common()
    stream = argparse.ArgumentParser(add_help=False)
    stream.add_argument("--event-format", choices=EVENT_FORMATS, default="cloud", help="message of the events")
    stream.add_argument("--depth-encoding", choices=DEPTH_ENCODINGS, default="32FC1", help="encoding of the depth")
    stream.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes")
    bag = commands.add_parser("bag", parents=[common, stream], help="write a rosbag2 recording (MCAP)")
    bag.add_argument("--out", type=Path, required=True, help="folder of the recording; must not exist")
    bag.set_defaults(run=_bag)
    live = commands.add_parser("live", parents=[common, stream], help="render, then publish with rclpy")
    live.add_argument("--loop", action="store_true", help="start over until stopped")
    live.set_defaults(run=_live)
    preview = commands.add_parser("preview", parents=[common], help="draw what the sensors see as a PNG")
    preview.add_argument("--out", type=Path, required=True, help="the picture")
    preview.add_argument("--moments", type=int, default=4, help="rows of the sheet")
    preview.set_defaults(run=_preview)
    return parser


def _common() -> argparse.ArgumentParser:
    default = DriveSettings()
    parser = argparse.ArgumentParser(add_help=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--size", default=f"{default.width}x{default.height}", help="image size, WIDTHxHEIGHT")
    parser.add_argument("--no-noise", action="store_true", help="perfect sensors")
    for flag, name, kind, text in _FLAGS:
        parser.add_argument(flag, dest=name, type=kind, default=getattr(default, name), help=f"{text} (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
