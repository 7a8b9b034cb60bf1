# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Where streets run: curves, junctions and what is laid along them."""
