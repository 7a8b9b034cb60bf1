# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The package installs both ways: pip's wheel and colcon's ament_python tree."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from any2seg_core.config import SHIPPED

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("any2seg_core", "any2seg_ros", "any2seg_sim", "launch", "config", "resource", "training")
FILES = ("setup.py", "setup.cfg", "pyproject.toml", "package.xml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the sources, so that building leaves nothing behind in the checkout."""
    copy = tmp_path_factory.mktemp("source") / "any2seg"
    copy.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def wheel(tree, tmp_path_factory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", str(out)]
    subprocess.run(command, cwd=tree, check=True, timeout=120)
    (path,) = out.glob("any2seg-*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_holds_the_packages_and_nothing_else_at_the_top(wheel):
    tops = {name.split("/")[0] for name in wheel if not name.startswith("any2seg-")}
    assert tops == {"any2seg_core", "any2seg_ros", "any2seg_sim"}


def test_the_wheel_holds_what_the_programs_read(wheel):
    data = [name.split(".data/data/")[1] for name in wheel if ".data/data/" in name]
    expected = {"share/any2seg/package.xml", "share/ament_index/resource_index/packages/any2seg"}
    # Whatever launch files, rigs and layouts there are: a file that data_files forgets is found on no robot.
    shipped = [path for folder in ("launch", "config") for path in (ROOT / folder).rglob("*") if path.is_file()]
    shipped = [path for path in shipped if "__pycache__" not in path.parts]
    expected |= {f"share/any2seg/{path.relative_to(ROOT).as_posix()}" for path in shipped}
    assert expected == set(data)
    assert {"any2seg_core/py.typed", "any2seg_sim/demo/templates/report.html.j2"} <= set(wheel)
    weights = f"any2seg_core/checkpoints/{SHIPPED}"
    assert {f"{weights}/model.safetensors", f"{weights}/checkpoint.json"} <= set(wheel)


def test_every_module_is_in_the_wheel(wheel):
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("any2seg_core", "any2seg_ros", "any2seg_sim")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules <= set(wheel)


@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copied", "symlinked"])
def test_colcon_builds_it_as_an_ament_package(tree, tmp_path, options):
    colcon = Path(sys.executable).with_name("colcon")
    if not colcon.exists():
        pytest.skip("colcon is not installed beside this interpreter")
    bases = [f"--{kind}-base={tmp_path / kind}" for kind in ("build", "install")]
    command = [str(colcon), f"--log-base={tmp_path / 'log'}", "build", *bases, *options, "--paths", str(tree)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=180, capture_output=True)
    prefix = tmp_path / "install" / "any2seg"
    # Only ament packages get this hook; as a plain Python package, ros2 launch would not find it.
    assert (prefix / "share" / "any2seg" / "hook" / "ament_prefix_path.sh").exists()
    assert (prefix / "share" / "ament_index" / "resource_index" / "packages" / "any2seg").exists()
    assert (prefix / "share" / "any2seg" / "launch" / "segmentation.launch.py").exists()
    # The launch files find the configuration beside themselves, in the install folder and through symbolic links alike.
    launched = (prefix / "share" / "any2seg" / "launch" / "simulation.launch.py").resolve()
    assert (launched.parent.parent / "config" / "rigs" / "street_simulator.yaml").exists()
    script = prefix / "lib" / "any2seg" / "segmentation_node"
    shebang = script.read_text().splitlines()[0]
    assert shebang == "#!/usr/bin/env python3" or options  # symlinked, setuptools names the interpreter that built it
    assert not list(prefix.rglob("training"))


def imported_by(package: str) -> set[str]:
    """Top-level names that the modules of a package import, wherever in the module."""
    names = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names


def test_package_xml_names_every_ros_package_that_is_used():
    root = ET.parse(ROOT / "package.xml").getroot()
    told = {entry.text for entry in root.findall("exec_depend")}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "any2seg_ros").rglob("*.py")]
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "any2seg_sim").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r'"(\w+)/(?:msg|srv)/\w+"', text)}
    imported = {*imported_by("any2seg_ros"), *imported_by("any2seg_sim"), *imported_by("launch")}
    ros = {name for name in imported if name.endswith(("_msgs", "_interfaces", "_srvs"))}
    ros |= imported & {"rclpy", "launch", "launch_ros", "ament_index_python"}
    # What compat looks for by name; some exist in no ROS 2 distribution: ROS 1's tf, and ports of its event messages.
    ros |= {*named, "cv_bridge", "message_filters", "tf2_ros"} - {"dvs_msgs", "prophesee_event_msgs", "tf"}
    assert ros <= told


def test_package_xml_agrees_with_setup_py(tree):
    root = ET.parse(ROOT / "package.xml").getroot()
    query = [sys.executable, "setup.py", "--name", "--version", "--license"]
    told = subprocess.run(query, cwd=tree, check=True, capture_output=True, text=True, timeout=60).stdout.split()[-3:]
    assert root.get("format") == "3"
    assert [root.findtext("name"), root.findtext("version"), root.findtext("license")] == told
