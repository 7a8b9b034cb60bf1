# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The study's page says what its runs score, and nothing else."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.frames import DELIVER_CLASSES, Modality
from any2seg_core.model import build_model, save_checkpoint
from any2seg_core.model.checkpoint import CheckpointInfo
from any2seg_sim.settings import DriveSettings

TRAINING = Path(__file__).resolve().parents[2] / "training"
GRID = TRAINING / "experiments" / "grids" / "study.yaml"


@pytest.fixture(scope="module")
def study():
    sys.path.insert(0, str(TRAINING))
    spec = importlib.util.spec_from_file_location("study", TRAINING / "study.py")
    module = sys.modules["study"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(TRAINING))
    del sys.modules["study"]


FILM = DriveSettings(seed=4, width=32, height=32, duration_s=0.3, lidar_rings=16, lidar_columns=256, subframes=3)


def finish(study, runs, rows=None, seeds=(0, 1)):
    """Make runs look trained: a small model of its own for each."""
    grid = study.load_grid(GRID)
    jobs = [study.Job(grid, run, seed, GRID, runs, []) for run in grid.runs for seed in seeds]
    for number, job in enumerate(job for job in jobs if rows is None or job.row in rows):
        torch.manual_seed(number)
        config = ModelConfig(embed_dim=16)
        info = CheckpointInfo("tiny", config, PreprocessConfig(short_side_px=32), DELIVER_CLASSES)
        job.folder.claim(job.experiment, {})
        save_checkpoint(job.folder.best, build_model(config, 25), info)
        job.folder.result.write_text(json.dumps({"steps": 600, "best": {"scores": {"mss": 0.5, "miss": 0.25}}}))
    return jobs


@pytest.fixture(scope="module")
def written(study, street_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    jobs = finish(study, folder / "runs")
    teacher = folder / next(job.experiment.teacher.path for job in jobs if job.experiment.teacher.path)
    teacher.mkdir(parents=True)
    scores = {"rightly_paired": {"rgb": 0.875, "lidar": 0.625}, "weights": 3_210_000, "steps": 80, "batch_size": 4}
    (teacher / "scores.json").write_text(json.dumps(scores))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "DRIVES", [FILM])
        patch.chdir(folder)
        assert study.main([str(folder / "runs"), "--data", str(street_folder), "--out", str(folder / "docs")]) == 0
    return folder, jobs


def test_the_page_holds_mean_and_spread_of_what_was_scored(study, written, street_folder):
    folder, jobs = written
    page = (folder / "docs" / "study.md").read_text()
    events = (Modality.EVENT,)
    first, second = (100 * study.scored(job, street_folder).miou(events) for job in jobs[:2])
    mean, deviation = (first + second) / 2, abs(first - second) / 2**0.5
    row = next(line for line in page.splitlines() if line.startswith("| ours, random subsets | 2 |")).split(" | ")
    head = next(line for line in page.splitlines() if line.startswith("| model | seeds |")).split(" | ")
    assert row[head.index("events alone")] == f"{mean:.1f} ± {deviation:.1f}"
    ours = [study.scored(job, street_folder) for job in jobs if job.row == study.BEST]
    alone = [50 * sum(one.miou((only,)) for one in ours) for only in ours[0].modalities]
    assert f"; ours {' / '.join(f'{value:.1f}' for value in alone)}. The" in page
    camera, pair = (Modality.RGB,), (Modality.RGB, Modality.EVENT)
    gained = 50 * sum(one.miou(pair) - one.miou(camera) for one in ours)
    assert f", ours {gained:+.1f} / " in page
    tuned = [study.scored(job, street_folder) for job in jobs if job.row == "paper, L_cr and L_se tuned"]
    both = [50 * sum(score(one) for one in tuned) for score in (study.EvalReport.miou, study.EvalReport.system_miss)]
    assert f"; L_cr and L_se tuned {both[0]:.1f} / {both[1]:.1f}.\n" in page
    assert "600 steps of 8 samples at 128 pixels, 2 seeds, scored on 2" in page
    assert "1 drives of 0.3 s at 10 Hz" in page
    assert sum(line.split(" | ")[1] in {"mean", "temporal"} for line in page.splitlines() if " | " in line) == 6
    assert sum(line.startswith("| paper, L_") for line in page.splitlines()) == 4
    assert "CLIP of\n3.2 M weights" in page
    assert "80 steps of 4\ncrops" in page
    assert "(chance 50 %): camera 88 %, LiDAR 62 %." in page
    for plot in study.PLOTS.values():
        assert f"images/{plot}" in page
        assert (folder / "docs" / "images" / plot).stat().st_size > 1000


def test_counts_are_kept_until_the_weights_change(study, written, street_folder, monkeypatch):
    _, jobs = written
    kept = study.scored(jobs[0], street_folder)
    counted = []
    real = study.evaluate
    monkeypatch.setattr(study, "evaluate", lambda *given, **named: counted.append(1) or real(*given, **named))
    assert study.scored(jobs[0], street_folder).to_json() == kept.to_json()
    assert not counted
    torch.manual_seed(99)
    _, info = study.load_checkpoint(jobs[0].folder.best)
    save_checkpoint(jobs[0].folder.best, build_model(info.model, 25), info)
    assert study.scored(jobs[0], street_folder).to_json() != kept.to_json()
    assert counted == [1]


def test_a_teacher_whose_scores_are_not_there_is_named(study, written, street_folder, tmp_path, monkeypatch, capsys):
    folder, _ = written
    monkeypatch.chdir(tmp_path)
    assert study.main([str(folder / "runs"), "--data", str(street_folder), "--out", str(tmp_path)]) == 2
    assert "expected out/street-clip/scores.json; make it with training/street_clip.py" in capsys.readouterr().err


def test_a_model_that_is_not_trained_is_named(study, street_folder, tmp_path, capsys):
    finish(study, tmp_path / "runs", rows=["ours, random subsets"], seeds=(0,))
    assert study.main([str(tmp_path / "runs"), "--data", str(street_folder), "--out", str(tmp_path)]) == 2
    assert (
        "found no complete run of ours, all sensors always; ours, all and a subset; ours, max fusion; paper"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "study.md").exists()
    assert not (tmp_path / "study.json").exists()


def test_the_page_outlives_the_runs(study, written, tmp_path, monkeypatch):
    docs = written[0] / "docs"
    copy = tmp_path / "docs"
    copy.mkdir()
    (copy / "study.json").write_bytes((docs / "study.json").read_bytes())
    monkeypatch.setattr(study, "DRIVES", [FILM])
    assert study.main([str(tmp_path / "nothing"), "--data", str(tmp_path / "none"), "--out", str(copy)]) == 0
    for name in ("study.md", "study.json", *(f"images/{plot}" for plot in study.PLOTS.values())):
        assert (copy / name).read_bytes() == (docs / name).read_bytes(), name


def test_a_row_of_more_seeds_stays_and_one_of_as_many_is_replaced(study, written, street_folder, monkeypatch, capsys):
    folder, jobs = written
    monkeypatch.chdir(folder)
    monkeypatch.setattr(study, "sequence_rows", lambda models, _: [(name, "mean", "new") for name in models])
    figures = study.Figures.load(folder / "docs" / "study.json")
    names = list(figures.rows)
    before = dict(figures.rows)
    one = next(job for job in jobs if job.row == study.BEST)
    figures = study.gather([one], names, street_folder, figures)
    assert figures.rows == before
    assert "new" not in figures.films[study.BEST][1][0]
    assert f"{study.BEST}: 1 seeds at hand, what study.json keeps of 2 stays" in capsys.readouterr().out
    both = [job for job in jobs if job.row == study.BEST]
    torch.manual_seed(7)
    _, info = study.load_checkpoint(one.folder.best)
    kept = (one.folder.best / "model.safetensors").read_bytes()
    save_checkpoint(one.folder.best, build_model(info.model, 25), info)
    try:
        figures = study.gather(both, names, street_folder, figures)
    finally:
        (one.folder.best / "model.safetensors").write_bytes(kept)
    assert figures.rows[study.BEST].seeds == 2
    assert figures.rows[study.BEST] != before[study.BEST]
    assert {name: row for name, row in figures.rows.items() if name != study.BEST} == {
        name: row for name, row in before.items() if name != study.BEST
    }
    assert list(figures.rows) == names
    assert figures.films[study.BEST] == (2, [[study.BEST, "mean", "new"]])


def test_what_learnt_from_another_teacher_is_not_kept(study, written, street_folder, monkeypatch):
    folder, jobs = written
    monkeypatch.chdir(folder)
    monkeypatch.setattr(study, "sequence_rows", lambda *_: [])
    figures = study.Figures.load(folder / "docs" / "study.json")
    names = list(figures.rows)
    taught = [job for job in jobs if job.row.startswith(study.LOSS)]
    figures.teacher = figures.teacher | {"steps": 81}
    with pytest.raises(study.ConfigError, match="found no complete run of paper, L_cr; paper, L_se; "):
        study.gather(taught[-1:], names, street_folder, figures)
    assert [name for name in names if name not in figures.rows] == [
        name for name in names if name.startswith(study.LOSS)
    ]


def test_figures_that_cannot_be_read_are_refused_and_stay(study, written, tmp_path, capsys):
    runs = str(written[0] / "runs")
    for content in (
        "{",
        '{"format": 2}',
        '{"format": 1}',
        "[]",
        '{"format": 1, "about": {}, "teacher": {}, "rows": [], "films": {}}',
    ):
        (tmp_path / "study.json").write_text(content)
        assert study.main([runs, "--data", "none", "--out", str(tmp_path)]) == 2
        assert "study.json" in capsys.readouterr().err
        assert (tmp_path / "study.json").read_text() == content
