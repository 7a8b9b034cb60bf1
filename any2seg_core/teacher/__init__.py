# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The frozen vision-language teacher (Any2Seg, section 3.2): what it is, what it is shown, what is kept of it.

Loading one is any2seg_core.teacher.kinds.open_teacher; training needs the cache alone.
"""

from any2seg_core.teacher.base import SampleSource, SampleView, Teacher
from any2seg_core.teacher.build import build_cache
from any2seg_core.teacher.cache import TeacherCache, cache_path, captions_path, expected_fingerprint
from any2seg_core.teacher.fingerprint import file_stamp
from any2seg_core.teacher.view import ImageView

__all__ = [
    "ImageView",
    "SampleSource",
    "SampleView",
    "Teacher",
    "TeacherCache",
    "build_cache",
    "cache_path",
    "captions_path",
    "expected_fingerprint",
    "file_stamp",
]
