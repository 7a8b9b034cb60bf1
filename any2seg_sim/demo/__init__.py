# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a simulated drive whose sensors fail one after the other, and a report of what came out."""
