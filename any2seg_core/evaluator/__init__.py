# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a model on a data set: with all sensors, with every subset of them, under every condition."""

from any2seg_core.evaluator.report import Cell, EvalReport
from any2seg_core.evaluator.scoring import PROTOCOLS, evaluate
from any2seg_core.evaluator.subsets import all_subsets, short_name
from any2seg_core.evaluator.tables import markdown

__all__ = ["PROTOCOLS", "Cell", "EvalReport", "all_subsets", "evaluate", "markdown", "short_name"]
