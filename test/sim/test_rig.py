# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Where the sensors sit, what their lenses do, and that TF and CameraInfo say so."""

import dataclasses

import numpy as np
import pytest

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_core.projection.camera import inside, project_points
from any2seg_sim.renderer import camera_rays
from any2seg_sim.rig import BASE_FRAME, Rig
from any2seg_sim.settings import DISTORTIONS, RIGS, DriveSettings

SMALL = DriveSettings(width=64, height=48)
CAMERAS = (Modality.RGB, Modality.DEPTH, Modality.EVENT)


def rig_of(**changes):
    return Rig.of(dataclasses.replace(SMALL, **changes))


def in_base(rig):
    """Pose of every frame in base_link, through the tree of transforms."""
    poses = {BASE_FRAME: np.eye(4)}
    for parent, child, pose in rig.transforms:
        assert child not in poses
        poses[child] = poses[parent] @ pose
    return poses


def test_the_aligned_rig_follows_rep_103():
    rig = rig_of(width=320, height=240, fov_deg=90)
    assert rig.camera.k[0, 0] == pytest.approx(160)
    ahead = rig.lidar_to_camera @ [10, 0, 0, 1]
    left = rig.lidar_to_camera @ [10, 1, 0, 1]
    assert ahead[2] == pytest.approx(10 - 0.3)
    assert left[0] == pytest.approx(ahead[0] - 1)
    assert ahead[1] == pytest.approx(-0.35)


def test_the_aligned_rig_looks_through_one_lens():
    rig = rig_of()
    assert rig.aligned
    names = rig.frame_ids
    assert set(in_base(rig)) == {BASE_FRAME, "camera_optical_frame", "event_camera_optical_frame", "lidar"}
    assert names[Modality.RGB] == names[Modality.DEPTH] != names[Modality.EVENT]
    for modality in CAMERAS:
        np.testing.assert_array_equal(rig.cameras[modality].k, rig.camera.k)
        np.testing.assert_array_equal(rig.poses[modality], rig.camera_in_base)
        assert rig.cameras[modality].frame_id == names[modality]


def test_every_sensor_of_the_vehicle_rig_has_its_own_place_and_view():
    rig = rig_of(rig="vehicle")
    assert not rig.aligned
    assert len(set(rig.frame_ids.values())) == 4
    assert len({tuple(pose[:3, 3]) for pose in rig.poses.values()}) == 4
    assert len({rig.cameras[modality].k[0, 0] for modality in CAMERAS}) == 3


@pytest.mark.parametrize("name", RIGS)
def test_tf_says_where_the_sensors_are(name):
    rig = rig_of(rig=name)
    poses = in_base(rig)
    for modality, frame_id in rig.frame_ids.items():
        np.testing.assert_allclose(poses[frame_id], rig.poses[modality], atol=1e-12)
        np.testing.assert_allclose(poses[frame_id][:3, :3] @ poses[frame_id][:3, :3].T, np.eye(3), atol=1e-12)
    camera, lidar = (poses[rig.frame_ids[modality]] for modality in (Modality.RGB, Modality.LIDAR))
    np.testing.assert_allclose(np.linalg.inv(camera) @ lidar, rig.lidar_to_camera, atol=1e-12)
    # All look ahead within a few degrees: optical frames along z, the LiDAR along x.
    for modality in CAMERAS:
        assert rig.poses[modality][0, 2] > 0.99
    assert rig.lidar_in_base[0, 0] > 0.99


@pytest.mark.parametrize("rig", RIGS)
@pytest.mark.parametrize("model", DISTORTIONS)
def test_camera_info_is_true_to_the_rays_that_are_rendered(rig, model):
    rig = rig_of(rig=rig, distortion=model)
    for camera in rig.cameras.values():
        uv, valid = project_points(camera_rays(camera) * np.float32(7.0), camera)
        u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        assert valid.all()
        assert inside(uv, camera).all()
        assert np.abs(uv - np.stack([u, v], -1).reshape(-1, 2)).max() < 0.01


def test_a_lens_bends():
    straight, bent = (rig_of(distortion=model).camera for model in ("none", "plumb_bob"))
    corner = camera_rays(bent)[0] @ camera_rays(straight)[0]
    assert np.degrees(np.arccos(corner)) > 5


def test_a_coarse_event_camera_has_the_same_view():
    fine, coarse = (rig_of(failure=failure).cameras[Modality.EVENT] for failure in ("", "eventlowres"))
    assert (coarse.width, coarse.height) == (16, 12)
    points = np.random.default_rng(0).uniform((-3, -2, 6), (3, 2, 9), (50, 3))
    fine_uv, coarse_uv = project_points(points, fine)[0], project_points(points, coarse)[0]
    np.testing.assert_allclose(coarse_uv, (fine_uv + 0.5) / 4 - 0.5, atol=1e-4)
    assert rig_of(failure="eventlowres").camera.width == 64


@pytest.mark.parametrize("model", ["plumb_bob", "equidistant"])
def test_a_lens_model_that_ends_before_the_corner_is_refused(model):
    with pytest.raises(
        ConfigError, match=rf"found a field of view of 125 degrees and a {model} lens, .* smaller fov_deg"
    ):
        rig_of(fov_deg=125.0, distortion=model)
