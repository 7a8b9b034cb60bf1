# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The one error family of any2seg: every message says what was found, what was expected and what to do."""


class Any2SegError(Exception):
    """Base of every error that any2seg raises on purpose."""


class ConfigError(Any2SegError, ValueError):
    """A setting is unknown, of the wrong type or out of bounds."""


class FrameError(Any2SegError, ValueError):
    """A sensor message or frame cannot be used: wrong encoding, shape, length or stamp."""


class CalibrationError(Any2SegError, ValueError):
    """Camera intrinsics or an extrinsic transform are missing or unusable."""


class CheckpointError(Any2SegError, ValueError):
    """A checkpoint is missing, of another format, or does not fit what it is asked to do."""


class DependencyError(Any2SegError, ImportError):
    """An optional package is needed for what was asked and is not installed."""
