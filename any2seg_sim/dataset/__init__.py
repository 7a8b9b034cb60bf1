# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of simulated streets in DELIVER's folder layout, and what to look at them with."""
