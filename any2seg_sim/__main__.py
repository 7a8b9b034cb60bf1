# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Command line of the street simulator: write a bag, publish live, make a data set, draw pictures, try the node."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from any2seg_core.errors import Any2SegError, DependencyError
from any2seg_core.faults import FaultScript
from any2seg_sim.dataset.command import add_dataset, add_sheet, run_dataset, run_sheet
from any2seg_sim.flags import drive_flags, drive_settings
from any2seg_sim.gallery import write_gallery
from any2seg_sim.messages import DEPTH_ENCODINGS, EVENT_FORMATS
from any2seg_sim.preview import write_preview

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_sim.delivery import Delivery
    from any2seg_sim.settings import DriveSettings


@dataclass(frozen=True)
class Command:
    """What the simulator can be asked for.

    Attributes:
        help: one line about it.
        add: adds its arguments, beside those of a drive.
        run: does it and gives what to print.
    """

    help: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, DriveSettings], str]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0 when it is done and 2 when it cannot be."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options, drive_settings(options)))
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="street_simulator", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command in _COMMANDS.items():
        # Flags of its own for each: a command may change their defaults.
        own = commands.add_parser(name, parents=[drive_flags()], help=command.help, description=command.help)
        command.add(own)
        own.set_defaults(run=command.run)
    return parser


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--event-format", choices=EVENT_FORMATS, default="cloud", help="message of the events")
    parser.add_argument("--depth-encoding", choices=DEPTH_ENCODINGS, default="32FC1", help="encoding of the depth")
    parser.add_argument("--faults", type=Path, help="script of what fails when, YAML; config/faults holds examples")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes (%(default)s)")


def _stream(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "event_format": options.event_format,
        "depth_encoding": options.depth_encoding,
        "faults": None if options.faults is None else FaultScript.from_yaml(options.faults),
        "workers": options.workers,
        "progress": True,
    }


def _add_bag(parser: argparse.ArgumentParser) -> None:
    _add_stream(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the recording; must not exist")
    parser.add_argument("--storage", choices=("mcap", "sqlite3"), default="mcap", help="kind of file inside")


def _bag(options: argparse.Namespace, settings: DriveSettings) -> str:
    recording = _part("recording", "rosbags to write bags; pip install rosbags")
    return _told(recording.write_bag(options.out, settings, storage=options.storage, **_stream(options)))


def _add_live(parser: argparse.ArgumentParser) -> None:
    _add_stream(parser)
    parser.add_argument("--loop", action="store_true", help="start over until stopped")
    parser.add_argument(
        "--clock", action="store_true", help="keep the drive's own stamps and publish /clock, for use_sim_time"
    )
    parser.add_argument("--speed-up", type=float, default=1.0, help="with --clock: simulated seconds per second")


def _live(options: argparse.Namespace, settings: DriveSettings) -> str:
    live = _part("live", "rclpy to publish; source ROS 2, or write a bag instead")
    paces = {"loop": options.loop, "clock": options.clock, "speed_up": options.speed_up}
    return _told(live.publish_drive(settings, **paces, **_stream(options)))


def _add_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    parser.add_argument("--moments", type=int, default=4, help="rows of the sheet (%(default)s)")


def _preview(options: argparse.Namespace, settings: DriveSettings) -> str:
    write_preview(options.out, settings, moments=options.moments)
    return str(options.out)


def _add_gallery(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG")
    parser.add_argument("--tile", type=int, default=150, help="width of each object's picture, pixels (%(default)s)")


def _gallery(options: argparse.Namespace, settings: DriveSettings) -> str:
    write_gallery(options.out, settings.seed, tile_px=options.tile)
    return str(options.out)


_NEEDS_RCLPY: Final = "rclpy to start a node; source ROS 2, or pip install ros-rclpy[fastrtps]"


def _add_matrix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="the page, Markdown")
    parser.add_argument("--only", default="", help="try only faults whose name holds this text")
    parser.add_argument("--fault", type=float, default=2.0, help="seconds that each fault lasts (%(default)s)")
    # Small pictures: what is tried is the node's conduct, not its speed.
    parser.set_defaults(size="96x72", duration_s=2.0, samples=1, lidar_rings=16, lidar_columns=256, seed=1)


def _matrix(options: argparse.Namespace, settings: DriveSettings) -> str:
    return str(_part("trial.command", _NEEDS_RCLPY).run_matrix(options, settings))


def _add_soak(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="figures, JSON")
    parser.add_argument("--minutes", type=float, default=30.0, help="length (%(default)s)")
    parser.add_argument("--fault-seed", type=int, default=0, help="decides which sensors fail when (%(default)s)")
    parser.add_argument("--short-side", type=int, default=64, help="the node's model input size (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes (%(default)s)")
    parser.set_defaults(duration_s=4.0, samples=1)


def _soak(options: argparse.Namespace, settings: DriveSettings) -> str:
    return str(_part("trial.command", _NEEDS_RCLPY).run_soak(options, settings))


def _part(name: str, needs: str) -> Any:
    """Import a module of the simulator that stands on an optional package."""
    try:
        return importlib.import_module(f"any2seg_sim.{name}")
    except ImportError as error:
        msg = f"street simulator: found that {error}, expected {needs}"
        raise DependencyError(msg) from error


def _told(delivery: Delivery) -> str:
    width = max(map(len, delivery.messages), default=0)
    lines = [f"{topic:{width}}  {count}" for topic, count in sorted(delivery.messages.items())]
    return "\n".join([*lines, *map(str, delivery.faults)])


_COMMANDS: Final = {
    "bag": Command("write a rosbag2 recording", _add_bag, _bag),
    "live": Command("render, then publish with rclpy", _add_live, _live),
    "gallery": Command("draw every kind of object, each alone, with its classes", _add_gallery, _gallery),
    "preview": Command("draw what the sensors see as a PNG", _add_preview, _preview),
    "dataset": Command("make a data set in DELIVER's folder layout", add_dataset, run_dataset),
    "faults-matrix": Command("try every fault on a running node and write a table", _add_matrix, _matrix),
    "soak": Command("feed a running node for long while sensors fail, and judge it", _add_soak, _soak),
    "sheet": Command("draw contact sheets of weathers, failures or a data set", add_sheet, run_sheet),
}


if __name__ == "__main__":
    sys.exit(main())
