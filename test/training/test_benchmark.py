# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, its sides agree, and the report holds what docs/performance.md says; times are never judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, code=None):
    program = [str(ROOT / "training" / "benchmark.py")] if code is None else ["-c", code]
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    done = run("--quick", "--out", out)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def test_the_report_is_whole(finished):
    _, out = finished
    report = json.loads(out.read_text(encoding="utf-8"))
    assert set(report) == {"method", "rounds", "quick", "machine", "results"}
    assert report["quick"] is True
    machine = report["machine"]
    assert machine["cores"] >= 1
    assert machine["torch_threads"] >= 1
    assert machine["cpu"]
    assert len(machine["load_average"]) == 3
    assert "torch" in machine["versions"]
    assert [result["case"].split(":")[0] for result in report["results"]] == (
        ["prepare"] * 4 + ["label_output"] * 2 + ["segment", "evaluate", "simulate"]
    )
    for result in report["results"]:
        assert result["agreement"] >= 0.995
        assert "any2seg" in result["ways"]
        assert len(result["ways"]) >= 2
        for way in result["ways"].values():
            for times in way.values():
                assert 0 <= times["min"] <= times["median"] <= times["max"]
        assert next(iter(result["speedup"].values())) == 1
    assert list(out.parent.iterdir()) == [out]


def test_the_table_names_every_case(finished):
    printed, out = finished
    for result in json.loads(out.read_text(encoding="utf-8"))["results"]:
        assert result["case"] in printed


def test_sides_that_disagree_are_not_timed():
    code = (
        "import sys; sys.path.insert(0, 'training'); import benchmark as b\n"
        "case = b.Case('sums', {'plain': lambda _: [1, 2], 'any2seg': lambda _: [1, 3]}, b.drawn_alike)\n"
        "b.measure(case, 1, None)"
    )
    done = run(code=code)
    assert done.returncode == 1
    assert "sums: the answers agree on 0.5000 of the values, expected 0.995; nothing is timed" in done.stderr
