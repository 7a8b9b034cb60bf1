# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a message of the right type holds, a converter gives a frame or one of our errors, reads nothing past the
message's bytes, and takes no more memory than its bytes justify.

Messages are good ones with a few fields changed to anything that their type allows, and ones made of nothing else.
"""

import runpy
import struct
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2seg_core.errors import Any2SegError
from any2seg_core.frames import Events, Modality, Points
from any2seg_core.projection.camera import validate
from any2seg_ros.conversions import (
    PointTime,
    camera_model,
    cloud_frame,
    compressed_depth_frame,
    compressed_image_frame,
    depth_frame,
    image_frame,
    transform_matrix,
)
from any2seg_ros.conversions import image_files as limits
from any2seg_ros.event_codecs import EventReader

FUZZ = settings(max_examples=120, deadline=None)
FUZZ_MESSAGES = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("fuzz_messages.py"))))
CASES, change, drawn = FUZZ_MESSAGES.CASES, FUZZ_MESSAGES.change, FUZZ_MESSAGES.drawn


def read_events(message):
    return EventReader(width=8, height=6).frame(message)


def read_lidar(message):
    return cloud_frame(message, time=PointTime())


def read_camera(message):
    validate(camera := camera_model(message))
    return camera


def picture(message):
    return image_frame(message, Modality.RGB)


def picture_file(message):
    return compressed_image_frame(message, Modality.RGB)


READERS = {
    "image": picture,
    "image 16 bits": picture,
    "image bayer": picture,
    "depth": depth_frame,
    "depth metres": depth_frame,
    "compressed": picture_file,
    "compressed depth": compressed_depth_frame,
    "compressedDepth rvl": compressed_depth_frame,
    "cloud": read_lidar,
    "events cloud": read_events,
    "events rendered": read_events,
    "events evt3": read_events,
    "events libcaer_cmp": read_events,
    "events mono": read_events,
    "events array": read_events,
    "camera info": read_camera,
    "transform": transform_matrix,
}


def test_every_kind_of_message_is_read():
    assert set(READERS) == set(CASES)


def outcome(read, message):
    """The frame's content as comparable bytes; None where one of our errors said why not."""
    try:
        found = read(message)
    except Any2SegError as error:
        assert str(error)  # noqa: PT017  both ways are fine, as long as the error is ours and says something
        return None
    data = found if isinstance(found, np.ndarray) else getattr(found, "data", found)
    parts = [data] if isinstance(data, np.ndarray) else list(vars(data).values())
    return [part.tobytes() if isinstance(part, np.ndarray) else part for part in parts]


@pytest.mark.parametrize("everything", [False, True], ids=["mutated", "arbitrary"])
@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
@FUZZ
def test_only_our_own_errors_leave_and_nothing_past_the_bytes_is_read(case, everything, data):
    read, place = READERS[case], CASES[case][2]
    message = drawn(data, case, everything=everything)
    if not place:
        outcome(read, message)
        return
    payload = getattr(message, place)
    found = []
    for guard in (b"\x00", b"\xff"):
        memory = bytearray(payload + guard * 256)
        setattr(message, place, memoryview(memory)[: len(payload)])
        found.append(outcome(read, message))
    assert found[0] == found[1]


@pytest.mark.parametrize("case", CASES)
def test_the_good_messages_are_good(case):
    good, read = CASES[case][0], READERS[case]
    assert outcome(read, good()) is not None


BYTES_PER_BYTE = 160
"""A two-byte word of an event vector holds up to 12 events of 13 bytes each, twice while they are sorted."""
SLACK = 2**18


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_memory_is_bounded_by_the_bytes_that_came(case, data):
    read, place = READERS[case], CASES[case][2]
    message = drawn(data, case, everything=data.draw(st.booleans()))
    size = len(getattr(message, place)) if place else 0
    if "compressed" in case or "png" in str(getattr(message, "format", "")):
        size = max(size, 64)
    tracemalloc.start()
    try:
        outcome(read, message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= SLACK + BYTES_PER_BYTE * size, (size, peak)


HUGE = {
    "image": {"height": 65535, "width": 65535, "step": 65535 * 3},
    "depth": {"height": 65535, "width": 65535, "step": 65535 * 2},
    "image bayer": {"height": 65535, "width": 65535, "step": 65535},
    "cloud": {"height": 65535, "width": 65535, "row_step": 65535 * 20},
    "events cloud": {"height": 65535, "width": 65535, "row_step": 65535 * 9},
    "events rendered": {"height": 65535, "width": 65535, "step": 65535 * 3},
    "compressedDepth rvl": {"data": struct.pack("<iffII", 0, 0, 0, 65535, 65535) + bytes(64)},
}


@pytest.mark.parametrize("case", HUGE)
def test_a_size_that_the_bytes_do_not_hold_is_refused_before_memory_is_taken(case):
    good, read = CASES[case][0], READERS[case]
    message = good()
    for path, value in HUGE[case].items():
        change(message, path, value)
    tracemalloc.start()
    try:
        with pytest.raises(Any2SegError, match=r"found \d+ bytes|promise"):
            read(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SLACK


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_what_is_read_keeps_the_promises_of_its_type(case, data):
    read = READERS[case]
    message = drawn(data, case, everything=False)
    try:
        found = read(message)
    except Any2SegError:
        return
    content = None if isinstance(found, np.ndarray) else getattr(found, "data", None)
    if isinstance(content, Points):
        assert np.isfinite(content.xyz).all()
        assert np.isfinite(content.intensity).all()
        assert content.t_ns is None or len(content.t_ns) == len(content)
    elif isinstance(content, Events):
        assert 0 < min(content.width, content.height) <= max(content.width, content.height) <= 65535
        assert (content.x < content.width).all()
        assert (content.y < content.height).all()
        assert (np.diff(content.t_ns) >= 0).all()
    elif case == "transform":
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-9)
    elif content is not None:
        assert content.shape[0] * content.shape[1] <= max(limits.MAX_PIXELS, 1)
        assert not np.isinf(content).any()
