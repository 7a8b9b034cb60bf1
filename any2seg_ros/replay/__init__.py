# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Replay of recordings: a rosbag in, a verdict out, with no ROS installed."""
