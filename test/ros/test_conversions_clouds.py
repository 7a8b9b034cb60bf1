# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Point clouds of the layouts that drivers publish, against a reader that unpacks one number at a time."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from any2seg_core.errors import FrameError
from any2seg_core.frames import Modality
from any2seg_ros import compat
from any2seg_ros.conversions import Fields, cloud_columns, cloud_frame, header_fields, make

# PointField datatype -> struct's letter.
LETTERS = {1: "b", 2: "B", 3: "h", 4: "H", 5: "i", 6: "I", 7: "f", 8: "d"}
XYZ = [("x", 0, 7), ("y", 4, 7), ("z", 8, 7)]


@pytest.fixture(scope="module", params=["rclpy", "rosbags"])
def types(request):
    if request.param == "rclpy":
        pytest.importorskip("sensor_msgs.msg")
        return compat.message_class
    typestore = get_typestore(Stores.LATEST)
    return lambda name: typestore.types[name]


def cloud_message(types, data, *, fields, point_step, width, height=1, row_step=None, big_endian=False, dense=True):
    layout = [
        Fields("sensor_msgs/msg/PointField", {"name": name, "offset": offset, "datatype": datatype, "count": 1})
        for name, offset, datatype in fields
    ]
    values = {
        "header": header_fields(5_000_000_007, "lidar"),
        "height": height,
        "width": width,
        "fields": layout,
        "is_bigendian": big_endian,
        "point_step": point_step,
        "row_step": width * point_step if row_step is None else row_step,
        "data": np.frombuffer(bytes(data), np.uint8),
        "is_dense": dense,
    }
    return make(Fields("sensor_msgs/msg/PointCloud2", values), types)


def bare_cloud(data, fields, **values):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=1), frame_id="lidar")
    layout = [SimpleNamespace(name=n, offset=o, datatype=d, count=1) for n, o, d in fields]
    return SimpleNamespace(header=header, data=data, fields=layout, **{"is_bigendian": False, **values})


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_layout_reads_as_the_slow_reference(types, data):
    names = ["x", "y", "z", *data.draw(st.lists(st.sampled_from(["ring", "intensity", "time"]), unique=True))]
    names = data.draw(st.permutations(names))
    datatypes = {n: data.draw(st.sampled_from([7, 8]) if n in "xyz" else st.sampled_from(list(LETTERS))) for n in names}
    offsets, end = {}, 0
    for name in names:
        offsets[name] = end + data.draw(st.integers(0, 3))
        end = offsets[name] + struct.calcsize(LETTERS[datatypes[name]])
    point_step = end + data.draw(st.integers(0, 3))
    height, width = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    row_step = width * point_step + data.draw(st.integers(0, 5))
    big_endian, dense = data.draw(st.booleans()), data.draw(st.booleans())
    raw = data.draw(st.binary(min_size=height * row_step, max_size=height * row_step))
    fields = [(name, offsets[name], datatypes[name]) for name in names]
    message = cloud_message(
        types, raw, fields=fields, point_step=point_step, width=width, height=height, row_step=row_step,
        big_endian=big_endian, dense=dense,
    )  # fmt: skip

    def number(row, column, name):
        letter = (">" if big_endian else "<") + LETTERS[datatypes[name]]
        with np.errstate(over="ignore"):
            return np.float32(struct.unpack_from(letter, raw, row * row_step + column * point_step + offsets[name])[0])

    points = []
    for row in range(height):
        for column in range(width):
            xyz = [number(row, column, name) for name in "xyz"]
            shade = number(row, column, "intensity") if "intensity" in names else np.float32(0)
            if all(np.isfinite(value) for value in xyz) and any(value != 0 for value in xyz):
                points.append((*xyz, shade if np.isfinite(shade) else np.float32(0)))
    if not points:
        with pytest.raises(FrameError, match=r"found no valid return among \d+ points"):
            cloud_frame(message)
        return
    frame = cloud_frame(message)
    expected = np.array(points, np.float32)
    np.testing.assert_array_equal(frame.data.xyz, expected[:, :3])
    np.testing.assert_array_equal(frame.data.intensity, expected[:, 3])
    assert (frame.data.xyz.dtype, frame.data.intensity.dtype) == (np.float32, np.float32)
    assert (frame.modality, frame.stamp_ns, frame.frame_id) == (Modality.LIDAR, 5_000_000_007, "lidar")


def test_rows_of_an_organized_cloud_stay_in_order(types):
    raw = b"".join(struct.pack("<3f", row + 1, column + 1, 1) for row in range(2) for column in range(3))
    message = cloud_message(types, raw, fields=XYZ, point_step=12, width=3, height=2)
    assert cloud_frame(message).data.xyz[:, :2].tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]


@pytest.mark.parametrize("missing", [(np.nan, 1, 1), (1, np.inf, 1), (1, 1, -np.inf), (0, 0, 0), (0, -0.0, 0)])
def test_no_returns_are_left_out_even_of_a_cloud_called_dense(types, missing):
    raw = struct.pack("<6f", *missing, 0, 0, 3)
    message = cloud_message(types, raw, fields=XYZ, point_step=12, width=2, dense=True)
    assert cloud_frame(message).data.xyz.tolist() == [[0, 0, 3]]


# The first 12 bytes of every layout are x, y, z; then what each driver adds.
DRIVERS = {
    "velodyne": ([*XYZ, ("intensity", 12, 7), ("ring", 16, 4), ("time", 18, 7)], "<ffffHf", (7.0, 3, 0.1), 7.0),
    "ouster": (
        [*XYZ, ("intensity", 12, 7), ("t", 16, 6), ("reflectivity", 20, 4), ("ring", 22, 2), ("ambient", 23, 4)],
        "<ffffIHBH", (900.0, 5, 42, 1, 2), 42.0,
    ),
    "autoware": (
        [*XYZ, ("intensity", 12, 2), ("return_type", 13, 2), ("channel", 14, 4)], "<fffBBH", (200, 1, 9), 200.0,
    ),
    "livox": (
        [*XYZ, ("i", 12, 7), ("tag", 16, 2), ("line", 17, 2), ("timestamp", 18, 8)],
        "<ffffBBd", (0.5, 0, 1, 2.0), 0.5,
    ),
    "bare": (XYZ, "<fff", (), 0.0),
}  # fmt: skip


@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_intensity_of_the_drivers_layouts(types, driver):
    fields, packing, rest, expected = DRIVERS[driver]
    raw = struct.pack(packing, 1, 2, 3, *rest)
    frame = cloud_frame(cloud_message(types, raw, fields=fields, point_step=len(raw), width=1))
    assert frame.data.xyz.tolist() == [[1, 2, 3]]
    assert frame.data.intensity.tolist() == [expected]


def test_a_named_intensity_wins_and_may_be_a_coordinate(types):
    fields = [*XYZ, ("intensity", 12, 7), ("ring", 16, 4)]
    message = cloud_message(types, struct.pack("<4fH", 1, 2, 3, 4, 9), fields=fields, point_step=18, width=1)
    assert cloud_frame(message, intensity_field="ring").data.intensity.tolist() == [9]
    assert cloud_frame(message, intensity_field="z").data.intensity.tolist() == [3]
    with pytest.raises(FrameError, match=r"found fields x, y, z, intensity, ring, .*signal missing: check the driver"):
        cloud_frame(message, intensity_field="signal")


def test_a_non_finite_intensity_is_zero(types):
    fields = [*XYZ, ("intensity", 12, 7)]
    message = cloud_message(types, struct.pack("<4f", 1, 2, 3, np.nan), fields=fields, point_step=16, width=1)
    assert cloud_frame(message).data.intensity.tolist() == [0]


def test_single_row_clouds_need_no_row_step(types):
    raw = struct.pack("<6f", 1, 2, 3, 4, 5, 6)
    message = cloud_message(types, raw, fields=XYZ, point_step=12, width=2, row_step=0)
    assert len(cloud_frame(message).data) == 2


def test_reading_leaves_a_big_endian_message_as_it_was(types):
    raw = struct.pack(">3f", 1, 2, 3)
    message = cloud_message(types, raw, fields=XYZ, point_step=12, width=1, big_endian=True)
    assert cloud_frame(message).data.xyz.tolist() == [[1, 2, 3]]
    assert bytes(message.data) == raw


GOOD = {
    "fields": XYZ,
    "point_step": 12,
    "width": 2,
    "height": 2,
    "row_step": 24,
    "data": struct.pack("<12f", *range(12)),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": XYZ[:2]}, r"found fields x, y, expected x, y, z too; z missing"),
        ({"fields": []}, r"found fields none, expected"),
        ({"fields": [*XYZ[:2], ("z", 8, 9)]}, r"found datatype 9 for 'z', expected 1 to 8"),
        ({"fields": [*XYZ[:2], ("z", 8, 8)]}, r"found 'z' at bytes 8 to 16 of a point of 12"),
        ({"point_step": 0}, r"found 'x' at bytes 0 to 4 of a point of 0"),
        ({"row_step": 23}, r"found row_step 23, expected at least 2 points x 12 bytes"),
        ({"data": bytes(47)}, r"found 47 bytes, expected at least 48"),
        ({"width": 0}, r"found no valid return among 0 points"),
        ({"data": bytes(48)}, r"found no valid return among 4 points, expected one; check the LiDAR"),
        ({"width": 2**32 - 1, "row_step": 2**32 - 1, "height": 1}, r"found 48 bytes, expected at least 51539607540"),
    ],
)
def test_what_a_cloud_cannot_be(changes, message):
    with pytest.raises(FrameError, match=message):
        cloud_frame(bare_cloud(**{**GOOD, **changes}))


def test_another_type_of_message_is_named():
    with pytest.raises(FrameError, match=r"point cloud: found SimpleNamespace without .*fields"):
        cloud_frame(SimpleNamespace(header=None, data=b""))


EXTRA = st.tuples(st.sampled_from(["x", "y", "z", "i", "intensity", ""]), st.integers(0, 40), st.integers(0, 9))
SIZES = st.integers(0, 2**32 - 1) | st.integers(0, 20)
MESSAGES = st.builds(
    bare_cloud,
    st.binary(max_size=200),
    st.lists(EXTRA).map(lambda extra: [*extra, *XYZ]),
    height=SIZES,
    width=SIZES,
    point_step=SIZES,
    row_step=SIZES,
    is_bigendian=st.booleans(),
)


@given(message=MESSAGES)
@settings(max_examples=200, deadline=None)
def test_no_message_breaks_the_conversion(message):
    try:
        frame = cloud_frame(message)
    except FrameError:
        return
    assert 0 < len(frame.data) <= len(message.data)
    assert np.isfinite(frame.data.xyz).all()


def test_columns_keep_their_own_number_type(types):
    message = cloud_message(
        types, struct.pack("<BHd", 1, 2, 3.5), fields=[("a", 0, 2), ("b", 1, 4), ("c", 3, 8)], point_step=11, width=1
    )
    columns = cloud_columns(message, ["c", "a"])
    assert {name: (column.dtype.str, column.tolist()) for name, column in columns.items()} == {
        "c": ("<f8", [3.5]), "a": ("|u1", [1]),
    }  # fmt: skip
