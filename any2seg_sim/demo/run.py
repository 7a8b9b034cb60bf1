# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo from end to end: render a drive, start the node, play the drive while sensors fail, report."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from typing import TYPE_CHECKING, Final

import rclpy
from tqdm import tqdm

from any2seg_core.config import UNTRAINED
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_core.model.checkpoint import load_checkpoint
from any2seg_core.model.shipped import find_checkpoint
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS
from any2seg_sim.demo.gather import output_records
from any2seg_sim.demo.play import play_and_record
from any2seg_sim.demo.record import DemoRecord
from any2seg_sim.demo.report import write_report
from any2seg_sim.demo.robot import NODE_NAME, NodeDiedError, node_parameters, running_node
from any2seg_sim.demo.schedule import SENSORS, alive_intervals, demo_script, happenings_of
from any2seg_sim.demo.source import ROBOT_CAMERA_INFOS, ROBOT_TOPICS, failing_drive
from any2seg_sim.recording import write_bag
from any2seg_sim.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from any2seg_core.faults import FaultScript
    from any2seg_sim.demo.gather import Gallery
    from any2seg_sim.demo.play import Playable, PlayLog
    from any2seg_sim.demo.report import DemoReport
    from any2seg_sim.settings import DriveSettings

READY_TIMEOUT_S: Final = 120.0
SETTLE_S: Final = 2.0
PACKAGES: Final = ("torch", "transformers", "timm", "numpy", "numba", "ros-rclpy", "embreex")


@dataclass(frozen=True)
class DemoSettings:
    """What the demo is made with.

    Attributes:
        drive: the simulated drive.
        checkpoint: the node's weights.
        short_side_px: the node's model input size.
        workers: rendering processes.
        command: the command line, for the report.
        faults: what fails when; by default the demo's own script.
    """

    drive: DriveSettings
    checkpoint: str
    short_side_px: int
    workers: int
    command: str
    faults: FaultScript | None = None


def run_demo(settings: DemoSettings, folder: Path) -> DemoReport:
    """Run the demo and write everything below a folder: the drive, the labels, the report.

    Raises:
        NodeDiedError: the segmentation node did not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bag = folder / "drive"
    _record_drive(settings, bag)
    script = demo_script(settings.drive.duration_s) if settings.faults is None else settings.faults
    messages, gallery = failing_drive(settings.drive, bag, script)
    rig = Rig.of(settings.drive)
    parameters = node_parameters(rig, settings.checkpoint, settings.short_side_px)
    remaps = {topic: ROBOT_TOPICS[modality] for modality, topic in DATA_TOPICS.items()}
    remaps |= {topic: ROBOT_CAMERA_INFOS[modality] for modality, topic in CAMERA_INFO_TOPICS.items()}
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with running_node(folder, parameters, remaps):
        log = _play(messages, folder)
    record = _record(settings, messages, script, log, gallery, folder)
    return write_report(replace(record, started_utc=started), folder)


def _record_drive(settings: DemoSettings, bag: Path) -> None:
    """Render the drive, unless the same one stands there already."""
    stamp = bag.with_name("drive.json")
    wanted = asdict(settings.drive)
    if bag.exists() and stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == wanted:
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(bag, ignore_errors=True)
    write_bag(bag, settings.drive, workers=settings.workers, progress=True)
    stamp.write_text(json.dumps(wanted), encoding="utf-8")


def _play(messages: Sequence[Playable], folder: Path) -> PlayLog:
    rclpy.init(args=[])
    try:
        with tqdm(total=round(messages[-1].moment_s, 1), desc="play", unit="s") as bar:
            log = play_and_record(
                messages,
                node_name=NODE_NAME,
                ready_timeout_s=READY_TIMEOUT_S,
                settle_s=SETTLE_S,
                progress=bar.update,
            )
    finally:
        rclpy.try_shutdown()
    if log is None:
        msg = f"the segmentation node did not come up within {READY_TIMEOUT_S:.0f} s; see {folder / 'node.log'}"
        raise NodeDiedError(msg)
    return log


def _record(
    settings: DemoSettings,
    messages: Sequence[Playable],
    script: FaultScript,
    log: PlayLog,
    gallery: Gallery,
    folder: Path,
) -> DemoRecord:
    duration_s = max(messages[-1].moment_s, *(heard.received_s for heard in log.heard.values()), 0.0)
    happenings = happenings_of(script, duration_s)
    labels = folder / "labels"
    shutil.rmtree(labels, ignore_errors=True)
    within_ns = round(0.5e9 / settings.drive.rate_hz)
    return DemoRecord(
        outputs=output_records(log, gallery, truth_within_ns=within_ns, folder=labels),
        frames_in={modality: sum(message.modality is modality for message in messages) for modality in SENSORS},
        alive={modality: alive_intervals(happenings, modality, duration_s) for modality in SENSORS},
        duration_s=duration_s,
        classes=DELIVER_CLASSES,
        faults=[happening.told for happening in happenings],
        weights=_weights_name(settings.checkpoint),
        dropped=log.problems,
        command=settings.command,
        seed=settings.drive.seed,
        settings={"drive": asdict(settings.drive), "short_side_px": settings.short_side_px},
        machine=_machine(),
        versions={name: metadata.version(name) for name in PACKAGES if _installed(name)},
    )


def _weights_name(checkpoint: str) -> str:
    return checkpoint if checkpoint == UNTRAINED else load_checkpoint(find_checkpoint(checkpoint))[1].name


def _machine() -> dict[str, str]:
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cpu_cores": str(os.cpu_count()),
        "python": platform.python_version(),
    }


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
