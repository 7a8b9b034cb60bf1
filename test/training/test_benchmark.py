# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs, its sides agree, and the report holds what docs/performance.md says; times are never judged."""

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Without ROS there is no node to time.
NODE = ["node"] * 2 if importlib.util.find_spec("rclpy") else []
GROUPS = ["prepare"] * 4 + ["label_output"] * 2 + ["segment", *NODE, "evaluate"] + ["scaling"] * 5 + ["simulate"]


def run(*arguments):
    command = [sys.executable, str(ROOT / "training" / "benchmark.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture
def script(monkeypatch):
    """Import a benchmark's module into this process."""
    monkeypatch.syspath_prepend(ROOT / "training")
    return importlib.import_module


def groups(report):
    return [result["case"].split(":")[0] for result in report["results"]]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "new" / "bench.json"
    done = run("--quick", "--only", "simulate,scaling,evaluate,node,segment,label_output,prepare", "--out", out)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def ordered(times):
    return 0 <= times["min"] <= times["median"] <= times["max"]


def test_the_report_is_whole(finished):
    _, out = finished
    report = read(out)
    assert set(report) == {"method", "quick", "results"}
    assert report["quick"] is True
    assert groups(report) == GROUPS
    for result in report["results"]:
        machine = result["machine"]
        assert machine["cores"] >= 1
        assert machine["torch_threads"] == 1
        assert machine["cpu"]
        assert len(machine["load_average"]) == 3
        assert "torch" in machine["versions"]
        if result["case"].startswith("scaling"):
            assert len(result["sizes"]) == len(result["cpu_ms"]) >= 2
            assert all(map(ordered, [*result["cpu_ms"], *result["wall_ms"]]))
            continue
        assert result["agreement"] >= 0.995
        assert "any2seg" in result["ways"]
        assert len(result["ways"]) >= 2
        assert all(ordered(times) for way in result["ways"].values() for times in way.values())
        assert next(iter(result["speedup"].values())) == 1
        assert next(iter(result.get("speedup_cpu", result["speedup"]).values())) == 1
    assert list(out.parent.iterdir()) == [out]


def test_segment_tells_work_and_memory(finished):
    (result,) = (result for result in read(finished[1])["results"] if result["case"].startswith("segment"))
    assert set(result["peak_mb"]) == {"transformers, put together plainly", "any2seg"}
    assert all(value > 1 for value in result["peak_mb"].values())
    # 64 x 64 is a sixty-fourth of the published 512 x 512, attention apart: 6.4 GFLOP by the count of 2 per product.
    assert 0.05 < result["floor"]["encoder_gflop"] < 0.12
    # 2 x 256 x (16 x 16 x (32 + 25) + 8 x 8 x 64 + 4 x 4 x 160 + 2 x 2 x 256)
    assert result["floor"]["head_gflop"] == pytest.approx(0.011403264)


def test_the_table_names_every_case(finished):
    printed, out = finished
    for result in read(out)["results"]:
        assert result["case"] in printed


def test_other_groups_stay(finished, tmp_path):
    out = tmp_path / "bench.json"
    shutil.copy(finished[1], out)
    before = read(out)["results"]
    assert run("--quick", "--only", "label_output", "--out", out).returncode == 0
    after = read(out)["results"]
    assert groups({"results": after}) == GROUPS
    assert [one == other for one, other in zip(before, after, strict=True)] == [
        group != "label_output" for group in GROUPS
    ]


def test_node_tells_its_parts_and_the_rate_it_follows(finished):
    results = [result for result in read(finished[1])["results"] if result["case"].startswith("node")]
    if not results:
        pytest.skip("rclpy is not installed")
    overhead, latency = results
    assert overhead["case"] == "node: 4 messages 64x64 to model input, labels to message"
    assert set(overhead["parts_ms"]["any2seg"]) == {"in", "out"}
    assert 0 < latency["latency_ms"]["p50"] <= latency["latency_ms"]["p95"]
    assert latency["rates"][0]["hz"] == 5.0
    assert latency["largest_rate_hz"] in {0.0, 5.0, 10.0}


def test_an_unknown_group_is_named(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--only", "prepare,nothing"])
    with pytest.raises(SystemExit, match="2"):
        script("benchmark").main()
    assert "found groups nothing, expected some of prepare, label_output" in capsys.readouterr().err


def test_a_straight_line_and_a_bent_one(script):
    straight = script("scaling_benchmark").straight
    line = straight([1, 2, 4], [3.0, 5.0, 9.0])
    assert line["slope_ms"] == pytest.approx(2)
    assert line["offset_ms"] == pytest.approx(1)
    assert line["r2"] == pytest.approx(1)
    assert line["largest_miss"] == pytest.approx(0, abs=1e-9)
    bent = straight([1, 2, 4], [1.0, 4.0, 16.0])
    assert bent["r2"] < 0.99
    assert bent["largest_miss"] > 0.5


def test_sides_that_disagree_are_not_timed(script):
    measuring = script("bench_measure")
    case = measuring.Case("sums", {"plain": lambda _: [1, 2], "any2seg": lambda _: [1, 3]}, measuring.drawn_alike)
    with pytest.raises(SystemExit, match=r"sums: the answers agree on 0\.5000 of the values, expected 0\.995"):
        measuring.measure(case, 1, None)


def test_the_page_holds_what_the_report_does(finished, script, tmp_path, capsys):
    report = read(finished[1])
    out = tmp_path / "bench.json"
    out.write_text(json.dumps(report), encoding="utf-8")
    main = script("performance_page").main
    with pytest.raises(SystemExit, match="2"):
        main([str(out), "--out", str(tmp_path)])
    assert "was taken with --quick" in capsys.readouterr().err
    segment = next(result for result in report["results"] if result["case"].startswith("segment"))
    segment |= {"side": 512, "speedup_cpu": dict.fromkeys(segment["speedup_cpu"], 7.0)}
    out.write_text(json.dumps(report | {"quick": False}), encoding="utf-8")
    subsets = {"rgb": {"agreement": 0.99, "miou_change": -0.25}, "event": {"agreement": 1.0, "miou_change": 0.125}}
    check = {"checkpoint": "b0", "backend": "openvino", "precision": "bf16", "frames": 9, "agreement": 0.995}
    (tmp_path / "check.json").write_text(json.dumps(check | {"subsets": subsets}), encoding="utf-8")
    main([str(out), "--out", str(tmp_path), "--checks", str(tmp_path / "check.json")])
    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "| openvino bf16 | 9 | 99.500% | 99.000% | -0.25 |" in page
    assert "| mit_b0 | any2seg | 2.2 | 7.0 | reached |" in page
    assert "| mit_b0 | any2seg, 1 of 4 new | 20 | 7.0 | missed |" in page
    for result in report["results"]:
        assert result["case"].split(": ", 1)[1].split(",")[0] in page
    for plot in ("performance_segment.svg", "performance_scaling.svg"):
        assert (tmp_path / "images" / plot).read_text(encoding="utf-8").startswith("<?xml")
        assert f"images/{plot}" in page
