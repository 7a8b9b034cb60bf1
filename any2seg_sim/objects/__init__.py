# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Builders of what stands and moves in a street; every object is built facing +x with its foot at the origin."""
