# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Sensor geometry: points, events and depth become three-channel images, alike in training and on the robot.

Torch-free. All normalisation constants are fixed arguments, never taken from the image at hand.
"""
