# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Trials of the segmentation node with simulated sensors over real DDS: every fault in turn, or many for long."""
