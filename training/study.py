# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Write docs/study.md and its plots from the runs of grids/study.yaml, scored on streets that none of them saw.

Run: python training/study.py out/grids/study --data out/street --out docs
Each complete run's best checkpoint is scored once, with every subset of sensors, weather and failure; the counts stay
beside it (test.json), so that the same command goes on where it was stopped. Mean and spread of every score are kept in
docs/study.json, which outlives the runs: a model keeps its row until at least as many seeds are at hand, and where none
is, the page is written from what is kept. Delete the row of a model whose recipe was changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from evaluate import same_classes
from matplotlib.figure import Figure
from performance_page import save, table
from run_grid import Job, load_grid
from study_figures import MISS, Figures, Row, Spread
from study_sequences import DRIVES, GIVEN, sequence_rows
from tqdm import tqdm

from any2seg_core.data import eval_loader, open_dataset
from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.evaluator import EvalReport, evaluate, short_name
from any2seg_core.experiment import DataConfig
from any2seg_core.frames import Modality
from any2seg_core.model import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRID: Final = Path(__file__).resolve().parent / "experiments" / "grids" / "study.yaml"
SCORES: Final = "test.json"
FIGURES: Final = "study.json"
PLOTS: Final = {"subsets": "study_subsets.svg", "conditions": "study_conditions.svg"}
NAMES: Final = {"R": "camera", "D": "depth", "E": "events", "L": "LiDAR"}
"""Sensors by the short names of their modalities."""

BATCH: Final = 8
LOSS: Final = "paper, L_"
"""How the names of models with a teacher begin."""

BEST: Final = "ours, all sensors always"
"""Ours, where one model stands for it."""

DRAWN: Final = (
    *("ours, random subsets", BEST, "ours, all and a subset", "ours, max fusion"),
    *("paper", "paper, mean fusion", "paper, max fusion"),
)
"""Models in the plots; all are in the tables."""

ON_FILM: Final = (BEST, "paper", "paper, t-1 carried over")
"""Models that are also shown films."""


def scored(job: Job, data: Path) -> EvalReport:
    """Score a run's best checkpoint on the split test, or read what was counted for the same weights before.

    Raises:
        ConfigError, CheckpointError, DatasetError: checkpoint or data cannot be used.
    """
    weights = hashlib.sha256((job.folder.best / "model.safetensors").read_bytes()).hexdigest()
    path = job.folder.path / SCORES
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["weights"] == weights:
            return EvalReport.from_json(kept["report"])
    model, info = load_checkpoint(job.folder.best)
    config = DataConfig.from_mapping({"dataset": "street", "root": str(data)}, source="command line")
    dataset = open_dataset(config, info.preprocess, model.modalities, split="test")
    same_classes(info.classes, dataset.classes)
    batches = eval_loader(dataset, info.preprocess, batch_size=BATCH, workers=1)
    with tqdm(total=len(dataset), desc=f"{job.row}, seed {job.seed}", unit="image") as bar:
        report = evaluate(model.eval(), batches, info.classes, name=job.row, done=bar.update)
    write(path, json.dumps({"weights": weights, "report": report.to_json()}) + "\n")
    return report


def write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main_table(rows: Sequence[Row]) -> str:
    """All sensors, one lost, one left, the mean of all subsets."""
    everything = rows[0].everything
    scores = {"all sensors": everything}
    scores |= {f"{NAMES[lost]} lost": everything.replace(lost, "") for lost in everything}
    scores |= {f"{NAMES[only]} alone": only for only in everything}
    scores["mean of all subsets (MISS)"] = MISS
    return table(
        ("model", "seeds", *scores),
        ((row.name, str(row.seeds), *(str(row.subsets[at]) for at in scores.values())) for row in rows),
    )


def means_table(found: Mapping[str, Mapping[str, Spread]]) -> str:
    """Scores of each model, mean over the seeds."""
    names = [name for name in next(iter(found.values())) if name != MISS]
    return table(
        ("model", *names), ((model, *(f"{scores[at].mean:.1f}" for at in names)) for model, scores in found.items())
    )


def draw(found: Mapping[str, Mapping[str, Spread]]) -> Figure:
    """Bars of the scores of each model, with their spread over seeds."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panel = figure.subplots()
    names = [name for name in next(iter(found.values())) if name != MISS]
    width = 0.8 / len(found)
    for index, (model, scores) in enumerate(found.items()):
        places = np.arange(len(names)) + (index - (len(found) - 1) / 2) * width
        panel.bar(
            places,
            [scores[at].mean for at in names],
            width,
            yerr=[scores[at].deviation or 0.0 for at in names],
            error_kw={"linewidth": 0.8},
            label=model,
        )
    panel.set_xticks(range(len(names)), names, fontsize=8)
    panel.set_ylabel("mIoU, %", fontsize=8)
    panel.tick_params(axis="y", labelsize=8)
    panel.margins(x=0.01)
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside upper left", ncols=len(found))
    return figure


def plots(rows: Sequence[Row], folder: Path) -> None:
    """Draw all subsets, and all weathers and failures."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"svg.hashsalt": "any2seg"}):  # the same scores, the same bytes
        save(draw({row.name: row.subsets for row in rows}), folder / PLOTS["subsets"])
        save(draw({row.name: row.conditions for row in rows}), folder / PLOTS["conditions"])


INTRODUCTION: Final = """# What keeps a model going when sensors fail

Written by `python training/study.py out/grids/study --data out/street --out docs`, together with the figures behind it,
[study.json](study.json), from runs of

    python -m any2seg_sim dataset --out out/street --seeds 0:50 --size 256x256 --frames 4 --every 5
    python training/street_clip.py training/experiments/study_lscd.yaml
    python training/cache_teacher.py training/experiments/study_lscd.yaml
    python training/run_grid.py training/experiments/grids/study.yaml --out out/grids/study

MiT-B0 from random weights, {steps} steps of {batch} samples at {side} pixels, {seeds} seeds, scored on {images}
images of streets that were neither trained on nor chosen by; mean ± standard deviation over seeds, of mIoU over all
classes (all occur), absent modalities dropped. This is short training of a small model: differences between rows
count, the level does not. The model that ships learns far longer, at twice the side.

## What came out

mIoU in percent, mean over seeds; the tables have the spreads. "Ours" is *ours, all sensors always*.

"""
MODELS: Final = """
## The models

- **ours, all sensors always**: each modality has a loss of its own, selection is soft, layer norms belong to the
  modality. So ends the training of the shipped model.
- **ours, random subsets**: each sample shows a random subset of its modalities. So begins the training of the shipped
  model.
- **ours, all and a subset**: every sample twice in each step, with all modalities and with a random subset of them.
- **ours, max fusion**: all sensors always, the largest value in the place of MFF.
- **paper**: the paper's model and supervision without its teacher: all modalities always, one loss, hard selection,
  shared norms.
- **paper, MFF without selection**: f_mb alone. **Without residual**: f_ms alone (the paper's table 6).
- **paper, mean fusion** and **paper, max fusion**: the mean, or the largest value, in the place of MFF.
- **paper, t-1 carried over**: f_ma at t-1 is that of the preceding training step, as the paper can be read; in the
  other rows it is the mean of the modalities.
"""
FILMS: Final = """
## f_ma at t-1, on film

{films} drives of {seconds:g} s at 10 Hz on streets of held-out seeds, each in another weather. *mean*: each frame's
anchor is the mean of its modalities; *temporal*: halfway between that and the fused feature of the frame before, as
`model.previous` offers it to robots. Flicker: of the pixels whose true class is that of the frame before, the share
whose label is another.

"""
LOSSES: Final = """
## The correlation losses L_cr and L_se

All else is as in **paper**. The teacher is not LanguageBind, whose weights were not at hand, but a small CLIP of
{weights:.1f} M weights that `training/street_clip.py` trains on the training streets, {steps} steps of {batch_size}
crops, each seen by one sensor, against descriptions of what their labels hold. How often it puts a picture of a street
it never saw closer to that picture's description than to another's
(chance 50 %): {paired}.
So this shows what the losses do with a teacher that knows its streets; what a foundation model's knowledge adds, it
cannot show. A real LanguageBind goes in by `teacher.kind: languagebind` ([training](training.md)), and
`grids/table5.yaml`, `table7.yaml` and `table8.yaml` train the paper's own rows.

**tuned**: temperatures of 0.1 instead of 1, L_se without the diagonal, the teacher's cosines centred per modality. At
temperature 1 the teacher's softmax is nearly uniform.

"""
OPEN: Final = """
## What is not in it

- **Real sensors.** All of it is simulated; DELIVER's own rows are `grids/table6.yaml` and `grids/baselines.yaml`.
- **LanguageBind.** See the correlation losses.
- **Long training.** Whether subsets in training pay at the length that the shipped model learnt for is not known; each
  such model takes six hours on two CPU cores. The shipped one ends, for its last 3150 steps, without them.
"""


def facts(complete: Sequence[Job], images: int) -> dict[str, str]:
    """What was trained and scored, for the introduction."""
    experiment = complete[0].experiment
    return {
        "steps": str((complete[0].folder.outcome() or {})["steps"]),
        "batch": str(experiment.optim.batch_size),
        "side": str(experiment.augment.crop_px),
        "images": str(images),
    }


def findings(rows: Mapping[str, Row]) -> str:
    """Ask what the study is for, and let the figures answer."""
    everything = rows[BEST].everything

    def mean(name: str, at: str) -> float:
        return rows[name].subsets[at].mean

    def alone(name: str) -> str:
        return " / ".join(f"{mean(name, only):.1f}" for only in everything)

    def gained(name: str, added: str) -> str:
        return f"{mean(name, 'R' + added) - mean(name, 'R'):+.1f}"

    def both(name: str) -> str:
        return f"{mean(name, everything):.1f} / {mean(name, MISS):.1f}"

    def against(name: str, other: str) -> str:
        return " / ".join(f"{mean(name, at) - mean(other, at):+.1f}" for at in (everything, MISS))

    parts = [name for name in rows if name.startswith("paper, MFF ")]
    return (
        f"- **What is one sensor worth alone?** {' / '.join(NAMES[only] for only in everything)}: paper "
        f"{alone('paper')}, max fusion {alone('paper, max fusion')}, mean fusion {alone('paper, mean fusion')}; "
        f"ours {alone(BEST)}. The paper's own model has 2.07 on events alone and 0.31 on LiDAR alone on DELIVER (its "
        "table 3).\n"
        "- **What does a second sensor add to the camera?** Events / LiDAR: paper "
        f"{gained('paper', 'E')} / {gained('paper', 'L')}, ours {gained(BEST, 'E')} / {gained(BEST, 'L')}. In the "
        "paper's table 3, events: +0.09.\n"
        f"- **Ours or the paper's, all sensors / mean of all subsets?** Ours {both(BEST)}, with max fusion "
        f"{both('ours, max fusion')}; the paper's {both('paper')}, with max fusion "
        f"{both('paper, max fusion')}, with mean fusion {both('paper, mean fusion')}.\n"
        f"- **Which part of MFF does it?** Whole {both('paper')}; "
        + "; ".join(f"{name.removeprefix('paper, MFF ')} {both(name)}" for name in parts)
        + f"; f_ma of the step before {both('paper, t-1 carried over')}.\n"
        "- **What does training on subsets bring?** Against all sensors always, each sensor with a loss of its own: "
        f"all and a subset {against('ours, all and a subset', BEST)}, random subsets "
        f"{against('ours, random subsets', BEST)}. "
        "No more than 1 point was wanted lost with all sensors on.\n"
        f"- **Do L_cr and L_se help, with a small teacher?** Without {both('paper')}; "
        + "; ".join(f"{name.removeprefix('paper, ')} {both(name)}" for name in rows if name.startswith(LOSS))
        + ".\n"
    )


def film_table(found: Sequence[Sequence[str]]) -> str:
    """Accuracy and flicker on film."""
    scores = [f"{title}: {score}" for title in GIVEN for score in ("mIoU", "flicker, %")]
    return table(("model", "t-1 on the robot", *scores), map(tuple, found))


def teacher_facts(complete: Sequence[Job]) -> dict[str, Any]:
    """What the teacher is and how well it does, from the file beside its weights.

    Raises:
        ConfigError: the file is not there.
    """
    path = Path(next(job.experiment.teacher.path for job in complete if job.row.startswith(LOSS))) / "scores.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"study: found no scores of the teacher ({error}), expected {path}; make it with training/street_clip.py"
        raise ConfigError(msg) from error
    shares = found.pop("rightly_paired")
    paired = ", ".join(f"{NAMES[short_name([Modality(name)])]} {100 * share:.0f} %" for name, share in shares.items())
    return found | {"weights": found["weights"] / 1e6, "paired": paired}


def page(found: Figures) -> str:
    """Put the scores into words, tables and pictures."""
    rows = [row for row in found.rows.values() if not row.name.startswith(LOSS)]
    taught = [row for row in found.rows.values() if row.name.startswith(LOSS) or row.name == "paper"]
    seeds = " or ".join(map(str, sorted({row.seeds for row in found.rows.values()})))
    films = [row for name in ON_FILM if name in found.films for row in found.films[name][1]]
    return "".join(
        [
            INTRODUCTION.format(**found.about, seeds=seeds),
            findings(found.rows),
            f"\n![subsets](images/{PLOTS['subsets']})\n\nR camera, D depth, E events, L LiDAR.\n",
            MODELS,
            "\n## Sensors lost\n\n",
            main_table(rows),
            "\n",
            means_table({row.name: row.subsets for row in rows}),
            "\n## Weather and failures, all sensors\n\n",
            f"![conditions](images/{PLOTS['conditions']})\n\n",
            means_table({row.name: row.conditions for row in rows}),
            LOSSES.format(**found.teacher),
            main_table(taught),
            FILMS.format(films=len(DRIVES), seconds=DRIVES[0].duration_s),
            film_table(films),
            OPEN,
        ]
    )


def gather(complete: Sequence[Job], names: Sequence[str], data: Path, kept: Figures) -> Figures:
    """Score what is complete, and lay it over what is kept.

    A model keeps the figures of runs before that had more seeds; models with a teacher only those of the same teacher.

    Args:
        complete: trained runs.
        names: models of the grid, in its order.
        data: data set.
        kept: figures of runs before, changed.

    Raises:
        Any2SegError: checkpoint, data or the teacher's scores cannot be used, or a model is neither kept nor complete.
    """
    trained = {name: [job for job in complete if job.row == name] for name in names}
    trained = {name: jobs for name, jobs in trained.items() if jobs}
    if any(name.startswith(LOSS) for name in trained):
        teacher = teacher_facts(complete)
        if teacher != kept.teacher:  # what learnt from another is not compared
            kept.rows = {name: row for name, row in kept.rows.items() if not name.startswith(LOSS)}
        kept.teacher = teacher
    lacking = [name for name in names if name not in trained and name not in kept.rows]
    if lacking:
        msg = f"study: found no complete run of {'; '.join(lacking)}, expected one; let run_grid.py go on"
        raise ConfigError(msg)
    reports = {name: [scored(job, data) for job in jobs] for name, jobs in trained.items()}
    for name, found in reports.items():
        if not kept.take(Row.of(name, found)):
            seeds = kept.rows[name].seeds
            tqdm.write(f"{name}: {len(found)} seeds at hand, what {FIGURES} keeps of {seeds} stays")
    kept.rows = {name: kept.rows[name] for name in names}
    if complete:
        kept.about = facts(complete, next(iter(reports.values()))[0].images)
    filmed = {name: [job.folder.best for job in trained[name]] for name in ON_FILM if name in trained}
    filmed = {name: best for name, best in filmed.items() if len(best) >= kept.films.get(name, (0,))[0]}
    films = sequence_rows(filmed, DRIVES) if filmed else []
    for name, best in filmed.items():
        kept.take_films(name, len(best), [row for row in films if row[0] == name])
    return kept


def main(arguments: list[str] | None = None) -> int:
    """Score what is complete and write the page; the exit status is 2 when that cannot be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder that run_grid.py trained in")
    parser.add_argument(
        "--data", type=Path, default=Path("out/street"), help="data set of simulated streets (%(default)s)"
    )
    parser.add_argument("--grid", type=Path, default=GRID, help="grid file (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the page (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        grid = load_grid(options.grid)
        jobs = [Job(grid, run, seed, options.grid, options.runs, []) for seed in grid.seeds for run in grid.runs]
        complete = [job for job in jobs if job.scores() is not None]
        names = [run.name for run in grid.runs]
        found = gather(complete, names, options.data, Figures.load(options.out / FIGURES))
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    plots([found.rows[name] for name in DRAWN], options.out / "images")
    write(options.out / FIGURES, found.to_json())
    write(options.out / "study.md", page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
