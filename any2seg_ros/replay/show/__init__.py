# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a replay found out, shown: a page, tables for spreadsheets, a film, a comparison, gates for CI.

Strings of a verdict come from recordings and are never trusted: the page escapes them and forbids every script but
its own, the tables disarm formulas, the terminal sees no control characters.
"""

from any2seg_ros.replay.show.finish import finish
from any2seg_ros.replay.show.gates import Gate, parse_gates

__all__ = ["Gate", "finish", "parse_gates"]
