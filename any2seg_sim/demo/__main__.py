# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""python -m any2seg_sim.demo: watch a ROS 2 node keep segmenting while its sensors die and come back."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from any2seg_core.config import SHIPPED
from any2seg_core.errors import Any2SegError
from any2seg_core.faults import FaultScript
from any2seg_sim.demo.report import summary_table
from any2seg_sim.demo.run import DemoSettings, run_demo
from any2seg_sim.flags import image_size
from any2seg_sim.settings import DriveSettings


def main() -> int:
    """Run the demo; the exit status is 0 if output came."""
    parser = argparse.ArgumentParser(prog="python -m any2seg_sim.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="where everything is written")
    parser.add_argument(
        "--checkpoint", default=SHIPPED, help="checkpoint: a folder, a name or 'untrained' (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=4, help="seed of the street and the drive; the model never saw 4 (%(default)s)"
    )
    parser.add_argument("--duration", type=float, default=14.0, help="length of the drive, seconds")
    parser.add_argument("--size", default="320x256", help="camera image, WIDTHxHEIGHT (%(default)s)")
    # With that size, objects are as many pixels large as in the streets that the model learnt from.
    parser.add_argument("--fov", type=float, default=87.6, help="horizontal field of view, degrees (%(default)s)")
    parser.add_argument("--short-side", type=int, default=256, help="model input size, pixels (%(default)s)")
    parser.add_argument("--faults", type=Path, help="script of what fails when, YAML, in place of the demo's own")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rendering processes")
    arguments = parser.parse_args()
    try:
        width, height = image_size(arguments.size)
        drive = DriveSettings(
            seed=arguments.seed,
            duration_s=arguments.duration,
            width=width,
            height=height,
            fov_deg=arguments.fov,
            samples=1,
            subframes=4,
        )
        faults = None if arguments.faults is None else FaultScript.from_yaml(arguments.faults)
        command = " ".join(["python -m any2seg_sim.demo", *sys.argv[1:]])
        settings = DemoSettings(drive, arguments.checkpoint, arguments.short_side, arguments.workers, command, faults)
        report = run_demo(settings, arguments.out)
    except Any2SegError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(summary_table(report))
    print(f"\nOpen {arguments.out / 'report.html'}")
    return 0 if report.frames_out else 1


if __name__ == "__main__":
    sys.exit(main())
