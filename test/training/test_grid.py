# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Grids: every file parses, runs go on and fail one by one, and the table is what the scores say."""

import json
import os
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from any2seg_core.errors import ConfigError
from any2seg_core.trainer import RunFolder

ROOT = Path(__file__).resolve().parents[2]
GRIDS = sorted((ROOT / "training" / "experiments" / "grids").glob("*.yaml"))
TINY = ROOT / "training" / "experiments" / "tiny.yaml"


def write_grid(folder, **changes):
    """Two rows, two seeds."""
    values = {
        "name": "pair",
        "description": "two of a kind",
        "seeds": [0, 1],
        "overrides": ["optim.epochs=2"],
        "runs": [
            {"name": "first", "experiment": str(TINY)},
            {"name": "second: more", "experiment": str(TINY), "overrides": ["optim.lr=0.001"]},
        ],
    }
    path = folder / "pair.yaml"
    path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return path


def complete(run_grid, path, out, scores, *extra):
    """Make jobs look as if training had been there."""
    grid = run_grid.load_grid(path)
    jobs = [run_grid.Job(grid, run, seed, path, out, extra) for run in grid.runs for seed in grid.seeds]
    for job, score in zip(jobs, scores, strict=True):
        if score is not None:
            job.folder.claim(job.experiment, {})
            job.folder.result.write_text(json.dumps({"best": {"scores": {"mss": score, "miss": score / 2}}}))
    return grid, jobs


def test_every_grid_parses_and_its_experiments_too(run_grid, tmp_path):
    assert {path.stem for path in GRIDS} >= {"table5", "table6", "table6_mcubes", "table7", "table8", "baselines"}
    for path in GRIDS:
        grid = run_grid.load_grid(path)
        assert grid.name == path.stem
        for run in grid.runs:
            job = run_grid.Job(grid, run, 3, path, tmp_path, [])
            assert job.experiment.train.seed == 3
            if grid.columns == ["mss"]:
                assert job.experiment.evaluation.subsets == "full"


def test_the_table_by_hand(run_grid, tmp_path):
    path = write_grid(tmp_path)
    grid, jobs = complete(run_grid, path, tmp_path / "out", [0.5, 0.6, 0.7, None])
    text = run_grid.write_table(tmp_path / "out", grid, jobs)
    spread = 100 * statistics.stdev([0.5, 0.6])
    assert text.splitlines() == [
        "# pair",
        "",
        "two of a kind",
        "",
        "| run | seeds | MSS | gain | MISS | gain |",
        "|---|---|---:|---:|---:|---:|",
        f"| first | 2 of 2 | 55.00 ± {spread:.2f} |  | 27.50 ± {spread / 2:.2f} |  |",
        "| second: more | 1 of 2 | 70.00 | +15.00 | 35.00 | +7.50 |",
    ]
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == text
    rows = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))["rows"]
    assert rows[0]["mss"]["values"] == [0.5, 0.6]
    assert rows[1]["mss"] == {"mean": 0.7, "spread": None, "values": [0.7]}


def test_an_empty_table(run_grid, tmp_path, capsys):
    path = write_grid(tmp_path)
    assert run_grid.main([str(path), "--out", str(tmp_path / "out"), "--table"]) == 0
    assert "| first | 0 of 2 |  |  |  |  |" in capsys.readouterr().out


def test_it_trains_what_is_missing_and_names_what_fails(run_grid, train, street_folder, tmp_path, capsys, monkeypatch):
    """The second row's experiment cannot start; the third still runs, and complete runs are not run again."""
    monkeypatch.setattr(run_grid.Job, "train", lambda job, launch: train.main(job.command))
    runs = [
        {"name": "done", "experiment": str(TINY)},
        {
            "name": "fails",
            "experiment": str(TINY),
            "overrides": ["data.conditions=[night]", "data.failures=[motionblur]"],
        },
        {"name": "runs", "experiment": str(TINY), "overrides": ["train.tensorboard=false"]},
    ]
    path = write_grid(tmp_path, runs=runs, seeds=[0])
    root = f"data.root={street_folder}"
    complete(run_grid, path, tmp_path / "out", [0.5, None, None], root)
    arguments = [str(path), root, "--out", str(tmp_path / "out")]
    assert run_grid.main(arguments) == 1
    captured = capsys.readouterr()
    assert "[1/3] done, seed 0: complete" in captured.out
    assert "failed: fails, seed 0: exit status 2" in captured.err
    assert RunFolder(tmp_path / "out" / "runs" / "seed_0").outcome() is not None
    assert "| done | 1 of 1 | 50.00 |" in captured.out
    assert "| fails | 0 of 1 |" in captured.out
    assert "| runs | 1 of 1 |" in captured.out


def test_a_run_of_another_experiment_is_not_taken_for_this_one(run_grid, tmp_path, capsys):
    path = write_grid(tmp_path)
    complete(run_grid, path, tmp_path / "out", [0.5, 0.5, 0.5, 0.5])
    assert run_grid.main([str(path), "optim.clip_norm=3.0", "--out", str(tmp_path / "out")]) == 2
    assert "optim.clip_norm: 0.0 -> 3.0" in capsys.readouterr().err


STUB = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
pathlib.Path(sys.argv[1]).write_text(" ".join(sys.argv[2:]))
time.sleep(60)
"""


def test_a_signal_reaches_the_run_and_stops_the_grid(run_grid, tmp_path, capsys):
    path, ready = write_grid(tmp_path), tmp_path / "ready"
    (tmp_path / "stub.py").write_text(STUB)

    def terminate():
        while not ready.exists() or not ready.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate).start()
    before = signal.getsignal(signal.SIGTERM)
    launch = f"{sys.executable} {tmp_path / 'stub.py'} {ready}"
    assert run_grid.main([str(path), "--out", str(tmp_path / "out"), "--launch", launch]) == 128 + signal.SIGTERM
    assert "stopped by signal 15; the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    program, experiment, *rest = ready.read_text().split()
    assert (Path(program).name, experiment) == ("train.py", str(TINY))
    assert rest == ["optim.epochs=2", "train.seed=0", "--out", str(tmp_path / "out" / "first" / "seed_0")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"runs": []}, r"runs: found \[\]"),
        ({"seeds": []}, r"seeds: found \[\]"),
        ({"rows": 1}, r"'rows' is not a setting"),
        ({"runs": [{"name": "a b", "experiment": "x"}, {"name": "a, B", "experiment": "x"}]}, r"each name once"),
    ],
)
def test_grids_that_are_none(changes, expected, run_grid, tmp_path):
    with pytest.raises(ConfigError, match=expected):
        run_grid.load_grid(write_grid(tmp_path, **changes))


@pytest.mark.parametrize(("text", "expected"), [("[]", "found list"), ("a: [", "not readable"), (None, "not readable")])
def test_files_that_are_none(text, expected, run_grid, tmp_path, capsys):
    path = tmp_path / "grid.yaml"
    if text is not None:
        path.write_text(text)
    assert run_grid.main([str(path)]) == 2
    assert expected in capsys.readouterr().err
