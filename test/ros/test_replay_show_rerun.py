# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The Rerun recording, where rerun-sdk is installed."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from any2seg_core.errors import DependencyError
from any2seg_ros.replay.show.rerun import write_rerun

V = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("replay_show_verdicts.py"))))


def test_it_holds_values_and_overlays_and_is_whole(tmp_path):
    pytest.importorskip("rerun")
    verdict = V.realistic()
    shots = [tmp_path / "film" / f"{number:06d}.jpg" for number in range(56)]
    for number, shot in enumerate(shots):
        V.picture_file(shot, number, width=64, height=48)
    write_rerun(verdict, shots, tmp_path / "with.rrd")
    write_rerun(verdict, shots[:-1], tmp_path / "without.rrd")  # not one for each output
    assert {path.name for path in tmp_path.iterdir()} == {"film", "with.rrd", "without.rrd"}
    sizes = {path.stem: path.stat().st_size for path in tmp_path.glob("*.rrd")}
    pictures = sum(shot.stat().st_size for shot in shots)
    assert sizes["with"] - sizes["without"] > 0.5 * pictures
    assert (tmp_path / "with.rrd").read_bytes().startswith(b"RRF2")


def test_evil_names_stay_out_of_paths(tmp_path):
    pytest.importorskip("rerun")
    write_rerun(V.evil(tmp_path), [], tmp_path / "evil.rrd")
    assert (tmp_path / "evil.rrd").exists()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(DependencyError, match="pip install rerun-sdk"):
        write_rerun(V.damaged(), [], tmp_path / "x.rrd")
    assert list(tmp_path.iterdir()) == []
