# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Judge a model on recordings: how good is it there, and what happens when a sensor fails? No ROS is needed.

Run: replay_evaluation BAG [BAG ...] --checkpoint DIR --out out/replay --subsets
Writes report.json, report.html, tables and pictures. Exit status: 0 done, 1 a gate was not passed, 2 it could not be
done.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.faults import FaultScript
from any2seg_ros.replay.bags import opened
from any2seg_ros.replay.cluster import ray_package
from any2seg_ros.replay.many import Job, jobs_of, replay
from any2seg_ros.replay.one import open_model, topic_rows
from any2seg_ros.replay.roles import ROLES, find_roles
from any2seg_ros.replay.settings import ReplaySettings, read_parameters, read_ranges
from any2seg_ros.replay.show import finish, parse_gates
from any2seg_ros.replay.show.compare import read_verdict
from any2seg_ros.replay.show.rerun import rerun_package
from any2seg_ros.replay.show.words import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, REFUSED = 0, 2
_SHOWN = 12
"""Topics of no use that are listed, at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay; see the module for the exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        if options.dry_run:
            return _dry_run(options.bags, settings)
        _check_early(options, settings)
        verdict = replay(options.bags, settings, options.out, workers=options.workers, cluster=options.ray)
        status = finish(
            verdict,
            options.out,
            against=options.against,
            fail_under=options.fail_under,
            video=options.video,
            rrd=options.rrd,
        )
    except Any2SegError as error:
        print(f"replay: {plain(str(error))}", file=sys.stderr)
        return REFUSED
    return status if any(bag.outputs for bag in verdict.bags) else max(status, REFUSED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="replay_evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 folder or file, or ROS 1 bag")
    add(
        "--checkpoint",
        default="",
        help="folder or name of the checkpoint, or 'untrained'; wins over --config; the package's own if none is named",
    )
    add("--out", type=Path, default=Path("out/replay"), help="folder to write to (%(default)s)")
    add("--config", type=Path, help="the node's parameter file, or a rig file (config/rigs)")
    add("--topic", action="append", default=[], metavar="ROLE=/NAME", help=f"a topic's role: {', '.join(ROLES)}")
    add(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the node, the value as in YAML"
    )
    add("--dry-run", action="store_true", help="say what would be used, and end")
    add("--truth", default="auto", help="auto, none, topic:/name, points:/name or folder:DIR (%(default)s)")
    add("--subsets", action="store_true", help="score every subset of the sensors too (system-level MISS)")
    add("--faults", type=Path, help="script of what fails when, as for the simulator (config/faults)")
    add("--ranges", type=Path, help="YAML: condition -> [from, to] in seconds, for scores by condition")
    add("--from", type=float, default=0.0, dest="from_s", metavar="S", help="begin at so many seconds")
    add("--to", type=float, default=0.0, dest="to_s", metavar="S", help="end there")
    add("--pictures", type=int, default=8, help="how many of the worst outputs are drawn (%(default)s)")
    add("--video", action="store_true", help="make overlay.mp4")
    add("--rrd", action="store_true", help="make replay.rrd, to scrub through in Rerun (pip install any2seg[rerun])")
    add("--write-bag", action="store_true", help="write the labels as recordings, into OUT/labels")
    add("--against", type=Path, metavar="REPORT", help="older report.json to compare with")
    add("--fail-under", default="", metavar="GATES", help="exit status 1 below, as in miou=0.5,miss=0.4,iou.Cars=0.3")
    add(
        "--threads",
        type=int,
        default=1,
        help="CPU threads of the model; scores are equal for equal numbers (%(default)s)",
    )
    add("--workers", type=int, default=1, help="recordings at a time (%(default)s)")
    add(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="do the work on a Ray cluster whose machines see all files under the same paths; 'local': on this machine",
    )
    return parser


def _settings(options: argparse.Namespace) -> ReplaySettings:
    parameters, topics = read_parameters(options.config) if options.config else ({}, {})
    parameters |= dict(_named(text, "--set") for text in options.set)
    if options.checkpoint:
        parameters["inference.checkpoint"] = options.checkpoint
    if options.faults is not None:
        FaultScript.from_yaml(options.faults)
    return ReplaySettings(
        parameters=parameters,
        topics=topics | {role: str(name) for role, name in (_named(text, "--topic") for text in options.topic)},
        faults="" if options.faults is None else options.faults.read_text(encoding="utf-8"),
        truth=options.truth,
        subsets=options.subsets,
        ranges={} if options.ranges is None else read_ranges(options.ranges),
        from_s=options.from_s,
        to_s=options.to_s,
        threads=options.threads,
        pictures=options.pictures,
        film=options.video or options.rrd,
        labels=options.write_bag,
    )


def _named(text: str, flag: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        msg = f"{flag}: found {text!r}, expected NAME=VALUE"
        raise ConfigError(msg)
    try:
        return name.strip(), yaml.safe_load(value) if flag == "--set" else value.strip()
    except yaml.YAMLError as error:
        msg = f"{flag}: found {text!r}, expected a YAML value after the equals sign ({error})"
        raise ConfigError(msg) from error


def _check_early(options: argparse.Namespace, settings: ReplaySettings) -> None:
    """Refuse before the work what would be refused after it.

    Raises:
        Any2SegError: a gate is none, an older report cannot be read, or the model cannot be opened.
    """
    if options.against is not None:
        read_verdict(options.against)
    parse_gates(options.fail_under, list(open_model(settings).classes.names))
    if options.rrd:
        rerun_package()
    if options.ray:
        ray_package()


def _dry_run(paths: Sequence[Path], settings: ReplaySettings) -> int:
    """Say of every recording what would be made of it."""
    return max(_explain(job, settings) for job in jobs_of(paths))


def _explain(job: Job, settings: ReplaySettings) -> int:
    """Say of every topic what would be made of it, and what is missing."""
    try:
        with opened(job.path) as recording:
            roles = find_roles(recording, settings.topics)
            rows = topic_rows(recording, roles)
            print(f"{plain(job.name)} ({recording.kind})")
            idle = [row for row in rows if not row.role]
            for row in [row for row in rows if row.role] + idle[:_SHOWN]:
                print(f"  {plain(row.role or '-'):<20}{row.messages:>8}  {plain(row.topic)}  ({plain(row.why)})")
            if len(idle) > _SHOWN:
                print(f"  and {len(idle) - _SHOWN} more topics of no use here")
            for note in [*recording.notes, *roles.missing]:
                print(f"  ! {plain(note)}")
    except Any2SegError as error:
        print(f"{plain(job.name)}\n  ! {plain(str(error))}")
        return REFUSED
    return DONE


if __name__ == "__main__":
    sys.exit(main())
