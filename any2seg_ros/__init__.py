# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""any2seg_ros turns messages into sensor frames and labels into messages."""
