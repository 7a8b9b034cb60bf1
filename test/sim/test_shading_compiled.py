# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled loops call each other across files: none of them may outlive an edit to any."""

import re
from pathlib import Path

import numpy as np
import pytest

import any2seg_sim
from any2seg_sim import compiled as module
from any2seg_sim.compiled import compiled
from any2seg_sim.lighting import lamplight
from any2seg_sim.textures import noise

ROOT = Path(any2seg_sim.__file__).parent


def doubled(x):
    return 2.0 * x


def test_every_file_of_loops_is_part_of_the_stamp():
    using = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if re.search(r"^@compiled$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert using
    assert using <= set(module._LOOPS)
    assert all((ROOT / name).is_file() for name in module._LOOPS)


def test_machine_code_is_dropped_when_a_loop_changes(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    for stamp, expected in (("old", (0, 1)), ("old", (1, 0)), ("new", (0, 1))):
        monkeypatch.setattr(module, "_stamp", lambda stamp=stamp: stamp)
        function = compiled(doubled)
        assert function(1.5) == 3.0
        assert (sum(function.stats.cache_hits.values()), sum(function.stats.cache_misses.values())) == expected


def test_without_a_place_for_machine_code_functions_still_compile(monkeypatch):
    real = module.njit

    def sealed(**options):
        if options.get("cache"):
            message = "cannot cache function: no locator available"
            raise RuntimeError(message)
        return real(**options)

    monkeypatch.setattr(module, "njit", sealed)
    assert compiled(doubled)(2.0) == 4.0


@pytest.mark.parametrize("function", [noise, lamplight])
def test_loops_are_compiled_without_changing_their_answers(function):
    arguments = {
        noise: (0.3, -4.2, 7.9),
        lamplight: ((0.1, 0.2, 0.0), (0.0, 0.0, 1.0), np.array([[0, 0, 3, 0, 0, -1, 9, 8, 7, 0.1, 1e5]], np.float32)),
    }[function]
    np.testing.assert_allclose(function(*arguments), function.py_func(*arguments), rtol=1e-6)
