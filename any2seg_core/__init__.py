# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""any2seg_core turns a set of sensor frames into labels; it knows nothing of ROS."""
