# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Models of the four sensors: what they make of the light, depth and rays that reach them."""
