# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The trials' commands: faults-matrix and soak."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import rclpy
from tqdm import tqdm

from any2seg_sim.trial.bench import Timing, TrialError
from any2seg_sim.trial.matrix import fault_matrix, names
from any2seg_sim.trial.player import Drive
from any2seg_sim.trial.soak import SoakSettings, soak
from any2seg_sim.trial.table import page, verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from any2seg_sim.settings import DriveSettings


def run_matrix(options: argparse.Namespace, settings: DriveSettings) -> str:
    """Try all faults, or those whose name holds a text, and write the page.

    Raises:
        TrialError: not all were survived; the page is written all the same.
    """
    command = " ".join(["python -m any2seg_sim", *sys.argv[1:]])
    wanted = [name for name in names() if options.only in name]
    timing = Timing(fault_s=options.fault)
    with _ros():
        drive = Drive(settings, progress=True)
        rows = list(
            tqdm(
                fault_matrix(drive, f"/any2seg_trial_{os.getpid()}", timing, wanted=wanted.__contains__),
                total=len(wanted),
                desc="faults",
                unit="fault",
            )
        )
    write_whole(options.out, page(rows, settings, timing, command))
    if not all(row.survived for row in rows):
        raise TrialError(verdict(rows))
    return f"{verdict(rows)}\nWritten to {options.out}"


def run_soak(options: argparse.Namespace, settings: DriveSettings) -> str:
    """Feed a node for so many minutes while sensors fail, write the figures, and judge them.

    Raises:
        TrialError: the node did not stand it; the figures are written all the same.
    """
    wanted = SoakSettings(60.0 * options.minutes, options.fault_seed, options.short_side)
    with _ros():
        drive = Drive(settings, workers=options.workers, progress=True)
        report = soak(drive, f"/any2seg_trial_{os.getpid()}", wanted, progress=True)
    whole = {"drive": asdict(settings), "soak": asdict(wanted), "verdict": report.verdict, **asdict(report)}
    write_whole(options.out, json.dumps(whole, indent=1) + "\n")
    if report.problems:
        raise TrialError(report.verdict)
    return f"{report.verdict}\nWritten to {options.out}"


def write_whole(path: Path, text: str) -> None:
    """Write a file at once: nobody ever finds half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


@contextmanager
def _ros() -> Iterator[None]:
    rclpy.init(args=[])
    try:
        yield
    finally:
        rclpy.try_shutdown()
