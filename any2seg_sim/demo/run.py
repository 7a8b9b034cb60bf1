# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo from end to end: render a drive, start the node, play the drive while sensors die, report."""

from __future__ import annotations

import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rclpy
from rosbags.highlevel import AnyReader
from tqdm import tqdm

from any2seg_core.config import UNTRAINED
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.model.checkpoint import load_checkpoint
from any2seg_ros.conversions import image_frame, stamp_ns
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS
from any2seg_sim.demo.gather import Gallery, output_records
from any2seg_sim.demo.play import Playable, play_and_record
from any2seg_sim.demo.record import DemoRecord
from any2seg_sim.demo.report import write_report
from any2seg_sim.demo.robot import NODE_NAME, NodeDiedError, node_parameters, running_node
from any2seg_sim.demo.schedule import SENSORS, alive_intervals, demo_faults
from any2seg_sim.messages import (
    CAMERA_INFO_TOPIC,
    CAMERA_TOPIC,
    DEPTH_INFO_TOPIC,
    DEPTH_TOPIC,
    EVENT_INFO_TOPIC,
    EVENT_TOPIC,
    LABELS_TOPIC,
    LIDAR_TOPIC,
)
from any2seg_sim.recording import write_bag
from any2seg_sim.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_sim.demo.play import PlayLog
    from any2seg_sim.demo.record import Fault
    from any2seg_sim.demo.report import DemoReport
    from any2seg_sim.settings import DriveSettings

ROBOT_TOPICS: Final = {
    Modality.RGB: CAMERA_TOPIC,
    Modality.DEPTH: DEPTH_TOPIC,
    Modality.EVENT: EVENT_TOPIC,
    Modality.LIDAR: LIDAR_TOPIC,
}
ROBOT_CAMERA_INFOS: Final = {
    Modality.RGB: CAMERA_INFO_TOPIC,
    Modality.DEPTH: DEPTH_INFO_TOPIC,
    Modality.EVENT: EVENT_INFO_TOPIC,
}
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
    """

    drive: DriveSettings
    checkpoint: str
    short_side_px: int
    workers: int
    command: str


def run_demo(settings: DemoSettings, folder: Path) -> DemoReport:
    """Run the demo and write everything below a folder: the drive, the labels, the report.

    Raises:
        NodeDiedError: the segmentation node did not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bag = folder / "drive"
    _record_drive(settings, bag)
    messages, gallery = _read_drive(settings.drive, bag)
    faults = demo_faults(messages[-1].moment_s)
    rig = Rig.of(settings.drive)
    parameters = node_parameters(rig, settings.checkpoint, settings.short_side_px)
    remaps = {topic: ROBOT_TOPICS[modality] for modality, topic in DATA_TOPICS.items()}
    remaps |= {topic: ROBOT_CAMERA_INFOS[modality] for modality, topic in CAMERA_INFO_TOPICS.items()}
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with running_node(folder, parameters, remaps):
        log = _play(messages, faults, folder)
    record = _record(settings, messages, faults, log, gallery, folder)
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


def _read_drive(drive: DriveSettings, bag: Path) -> tuple[list[Playable], Gallery]:
    """Read the drive's messages to play, and its pictures and truth for the report."""
    modality_of = {topic: modality for modality, topic in ROBOT_TOPICS.items()}
    gallery, messages = Gallery(Rig.of(drive)), []
    played = {*ROBOT_TOPICS.values(), *ROBOT_CAMERA_INFOS.values()}
    with AnyReader([bag]) as reader:
        for connection, log_ns, raw in reader.messages():
            message: Any = reader.deserialize(raw, connection.msgtype)
            modality = modality_of.get(connection.topic)
            if connection.topic == LABELS_TOPIC:
                labels = np.asarray(image_frame(message, Modality.RGB).data)[..., 0]
                gallery.add_truth(stamp_ns(message.header), labels)
            if modality is not None:
                gallery.add(modality, message)
            if connection.topic in played:
                moment_s = (log_ns - drive.start_ns) / 1e9
                stamp = stamp_ns(message.header)
                messages.append(Playable(moment_s, connection.topic, connection.msgtype, stamp, modality, bytes(raw)))
    return messages, gallery


def _play(messages: Sequence[Playable], faults: Sequence[Fault], folder: Path) -> PlayLog:
    rclpy.init(args=[])
    try:
        with tqdm(total=round(messages[-1].moment_s, 1), desc="play", unit="s") as bar:
            log = play_and_record(
                messages,
                faults,
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
    faults: Sequence[Fault],
    log: PlayLog,
    gallery: Gallery,
    folder: Path,
) -> DemoRecord:
    duration_s = max(messages[-1].moment_s, *(heard.received_s for heard in log.heard.values()), 0.0)
    labels = folder / "labels"
    shutil.rmtree(labels, ignore_errors=True)
    within_ns = round(0.5e9 / settings.drive.rate_hz)
    return DemoRecord(
        outputs=output_records(log, gallery, truth_within_ns=within_ns, folder=labels),
        frames_in={modality: sum(key[0] is modality for key in log.sent_s) for modality in SENSORS},
        alive={modality: alive_intervals(faults, modality, duration_s) for modality in SENSORS},
        duration_s=duration_s,
        classes=DELIVER_CLASSES,
        faults=faults,
        weights=_weights_name(settings.checkpoint),
        dropped=log.problems,
        command=settings.command,
        seed=settings.drive.seed,
        settings={"drive": asdict(settings.drive), "short_side_px": settings.short_side_px},
        machine=_machine(),
        versions={name: metadata.version(name) for name in PACKAGES if _installed(name)},
    )


def _weights_name(checkpoint: str) -> str:
    return checkpoint if checkpoint == UNTRAINED else load_checkpoint(Path(checkpoint))[1].name


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
