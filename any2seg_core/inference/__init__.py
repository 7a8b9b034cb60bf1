# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Load a model once, then turn frame sets into label maps: numpy in, numpy out."""

from __future__ import annotations

from any2seg_core.inference.device import release_memory
from any2seg_core.inference.fallback import EnduringSegmenter
from any2seg_core.inference.segmenter import Segmenter, open_segmenter
from any2seg_core.inference.upsample import label_pixels

__all__ = ["EnduringSegmenter", "Segmenter", "label_pixels", "open_segmenter", "release_memory"]
