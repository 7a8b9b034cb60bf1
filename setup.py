# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Metadata for both ways of installing: colcon (ament_python) on a ROS 2 machine, and plain pip."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "any2seg"


def files(pattern: str) -> list[str]:
    """List files below this folder, relative as data_files wants them."""
    return sorted(str(path) for path in Path().glob(pattern))


EXTRAS = {
    # The simulator and the demo: Embree ray tracing, meshes, bags, film (PyAV ships FFmpeg), page template, drawing.
    "sim": ["embreex>=4", "trimesh>=4", "rosbags>=0.11", "av>=14", "jinja2>=3", "pillow>=10.1", "tqdm>=4"],
    # Replay of recordings: bags, files that lost their end, film, page template, progress.
    "replay": ["rosbags>=0.11", "mcap>=1.1", "av>=14", "jinja2>=3", "tqdm>=4"],
    # Replay of many recordings on many machines.
    "ray": ["ray>=2.9"],
    # Recordings to scrub through: .rrd export.
    "rerun": ["rerun-sdk>=0.23"],
    # Other runtimes for the same model: the exchange format and its exporter, two engines.
    "backends": ["onnx>=1.16", "onnxscript>=0.3", "onnxruntime>=1.18", "openvino>=2024.4"],
    # Training and scoring: several GPUs and mixed precision, the curves, the plots.
    "train": ["accelerate>=1", "tensorboard>=2.15", "matplotlib>=3.8", "tqdm>=4"],
    # The real rclpy, for machines without a ROS distribution, and what reads Bayer and YUV where cv_bridge is not.
    "ros": [
        "rosbags-image>=0.10",
        "ros-rclpy[fastrtps]>=7",
        "ros-sensor-msgs",
        "ros-std-msgs",
        "ros-geometry-msgs",
        "ros-diagnostic-msgs",
        "ros-lifecycle-msgs",
        "ros-std-srvs",
    ],
    "test": [
        "pytest>=7",
        "pytest-xdist>=3",
        "hypothesis>=6",
        "playwright>=1.40",
        "ruff>=0.9",
        "mypy>=1.13",
        "types-PyYAML",
        "colcon-ros",
        "colcon-python-setup-py",
        "setuptools>=68",
        "wheel",
    ],
}

setup(
    name=NAME,
    version="0.1.0",
    description="Semantic segmentation from any modalities: a ROS 2 perception node that survives sensor failure",
    # Beside the real file: colcon build --symlink-install runs a link to it from another folder.
    long_description=Path(__file__).resolve().with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The any2seg authors",
    maintainer="The any2seg authors",
    maintainer_email="any2seg@example.org",
    license="Apache-2.0",
    python_requires=">=3.10",
    # By inclusion: training/, launch/ and test/ must never become top-level modules of a user's environment.
    packages=find_packages(include=["any2seg_core", "any2seg_core.*", "any2seg_ros", "any2seg_ros.*"])
    + find_packages(include=["any2seg_sim", "any2seg_sim.*"]),
    package_data={
        "any2seg_core": ["py.typed", "checkpoints/*/*"],
        "any2seg_ros": ["py.typed", "replay/show/templates/*"],
        "any2seg_sim": ["py.typed", "demo/templates/*"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", files("launch/*.launch.py")),
        (f"share/{NAME}/config", files("config/*.yaml") + files("config/*.xml")),
        (f"share/{NAME}/config/faults", files("config/faults/*.yaml")),
        (f"share/{NAME}/config/rigs", files("config/rigs/*.yaml")),
        (f"share/{NAME}/config/rviz", files("config/rviz/*.rviz")),
        (f"share/{NAME}/config/foxglove", files("config/foxglove/*.json")),
    ],
    install_requires=[
        "setuptools",
        "numpy>=1.24",
        "torch>=2.4",
        "torchvision",
        "timm>=1.0",
        "transformers>=4.46",
        "safetensors>=0.4",
        "pydantic>=2.7",
        "numba>=0.60",
        "opencv-python-headless>=4.8",
        "PyYAML>=6",
    ],
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "segmentation_node = any2seg_ros.main:main",
            "street_simulator = any2seg_sim.__main__:main",
            "replay_evaluation = any2seg_ros.replay.__main__:main",
            "replay_scorer = any2seg_ros.replay_online:main",
        ],
    },
)
