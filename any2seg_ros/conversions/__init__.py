# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back, duck-typed: the same functions read rclpy and rosbags messages."""

from __future__ import annotations

from any2seg_ros.conversions.buffers import stamp_fields, stamp_ns
from any2seg_ros.conversions.clouds import cloud_columns, cloud_frame
from any2seg_ros.conversions.compressed import compressed_depth_frame, compressed_image_frame
from any2seg_ros.conversions.geometry import camera_model, matrix_from_xyz_quaternion, transform_matrix
from any2seg_ros.conversions.images import depth_frame, image_frame
from any2seg_ros.conversions.outgoing import (
    camera_info_fields,
    cloud_fields,
    columns_fields,
    fill_image,
    fill_label_info,
    image_fields,
    tf_message_fields,
)
from any2seg_ros.conversions.point_times import PointTime
from any2seg_ros.conversions.records import Fields, header_fields, make
from any2seg_ros.conversions.rvl import decode_rvl

__all__ = [
    "Fields",
    "PointTime",
    "camera_info_fields",
    "camera_model",
    "cloud_columns",
    "cloud_fields",
    "cloud_frame",
    "columns_fields",
    "compressed_depth_frame",
    "compressed_image_frame",
    "decode_rvl",
    "depth_frame",
    "fill_image",
    "fill_label_info",
    "header_fields",
    "image_fields",
    "image_frame",
    "make",
    "matrix_from_xyz_quaternion",
    "stamp_fields",
    "stamp_ns",
    "tf_message_fields",
    "transform_matrix",
]
