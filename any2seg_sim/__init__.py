# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""any2seg_sim drives through procedural streets with four sensors and exact labels."""
