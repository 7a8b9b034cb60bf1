# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom (docs/architecture.md), read from the source by ast; planted violations prove it can fail."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("any2seg_core", "any2seg_ros", "any2seg_sim")

CORE_LAYERS = (
    ("errors",),
    ("frames",),
    ("config", "projection", "synchronizer"),
    ("experiment", "faults"),
    ("preprocess", "metrics", "batch"),
    ("model", "losses", "data", "teacher"),
    ("inference",),
    ("evaluator",),
    ("trainer",),
)
LAYER_OF = {name: level for level, names in enumerate(CORE_LAYERS) for name in names}
TORCH_FREE = ("errors", "frames", "config", "projection", "synchronizer", "faults", "experiment", "metrics")

ROS_PACKAGES = {"rclpy", "rcl_interfaces", "cv_bridge", "message_filters", "sensor_msgs_py", "tf2_ros", "launch"}
ROS_PACKAGES |= {"launch_ros", "builtin_interfaces", "rosbags", "ament_index_python"}
RCLPY_NAMES = ("node", "parameters", "qos", "main", "compat", "tf_lookup", "replay_online")
RCLPY_FILES = {f"any2seg_ros/{name}.py" for name in RCLPY_NAMES}
RCLPY_SIM = ("any2seg_sim/live.py", "any2seg_sim/demo/", "any2seg_sim/trial/")
FORBIDDEN_CALLS = {"print", "exit", "eval", "exec"}
BODY = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)


def violations(root: Path) -> list[str]:
    """All broken rules below a root folder, as "file: rule"."""
    found = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            name = path.relative_to(root).as_posix()
            found += [f"{name}: {text}" for text in [*_import_violations(name, tree), *_body_violations(name, tree)]]
    return found


def _imports(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                names.append("<relative>")
            else:
                names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _is_ros(name: str) -> bool:
    top = name.split(".", maxsplit=1)[0]
    return top in ROS_PACKAGES or top.endswith("_msgs")


def _import_violations(name: str, tree: ast.AST) -> list[str]:
    found = []
    package = name.split("/", maxsplit=1)[0]
    for imported in _imports(tree):
        top = imported.split(".")[0]
        if imported == "<relative>":
            found.append("relative import; write the whole name")
        if top in ("training", "test"):
            found.append(f"imports {top}, which is never packaged")
        if package == "any2seg_core":
            found += _core_violations(name, imported)
        if package == "any2seg_ros":
            if top in ("torch", "torchvision", "timm"):
                found.append("any2seg_ros imports torch; it enters through any2seg_core.inference")
            if top == "any2seg_sim":
                found.append("any2seg_ros imports any2seg_sim")
        may_see_rclpy = name in RCLPY_FILES or name.startswith(RCLPY_SIM)
        if package != "any2seg_core" and top in ("rclpy", "rcl_interfaces") and not may_see_rclpy:
            found.append("imports rclpy outside the files that may")
    return found


def _core_violations(name: str, imported: str) -> list[str]:
    found = []
    if _is_ros(imported):
        found.append(f"the core imports ROS ({imported})")
    if imported.split(".", maxsplit=1)[0] in ("any2seg_ros", "any2seg_sim"):
        found.append(f"the core imports {imported.split('.', maxsplit=1)[0]}")
    own = name.split("/")[1].removesuffix(".py")
    parts = imported.split(".")
    if own != "__init__" and parts[0] == "any2seg_core" and len(parts) > 1 and parts[1] != own:
        if LAYER_OF.get(parts[1], -1) >= LAYER_OF.get(own, len(CORE_LAYERS)):
            found.append(f"{own} imports {parts[1]}, which is not below it")
        if own not in LAYER_OF:
            found.append(f"{own} stands in no layer; add it to CORE_LAYERS")
    return found


def _body_violations(name: str, tree: ast.Module) -> list[str]:
    found = []
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guard = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        if not (docstring or guard or isinstance(node, BODY)):
            found.append(f"line {node.lineno}: module body runs {type(node).__name__}")
        if guard or isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        for call in (c for c in ast.walk(node) if isinstance(c, ast.Call)):
            called = ast.unparse(call.func)
            if called in FORBIDDEN_CALLS or called.startswith(("sys.", "torch.", "np.random.", "random.", "logging.b")):
                found.append(f"line {node.lineno}: module body calls {called}")
    for call in (c for c in ast.walk(tree) if isinstance(c, ast.Call)):
        if ast.unparse(call.func) in ("eval", "exec", "sys.path.insert", "sys.path.append"):
            found.append(f"calls {ast.unparse(call.func)}")
        if ast.unparse(call.func) == "print" and not name.endswith("__main__.py"):
            found.append("prints; only command lines do")
    return found


def test_the_tree_keeps_the_rules():
    assert violations(ROOT) == []


PLANTED = {
    "core sees ROS": ("any2seg_core/frames.py", "import rclpy", "core imports ROS"),
    "core sees messages": ("any2seg_core/inference.py", "from sensor_msgs.msg import Image", "core imports ROS"),
    "core sees the node": ("any2seg_core/trainer.py", "from any2seg_ros import node", "core imports any2seg_ros"),
    "core sees the simulator": ("any2seg_core/data/dataset.py", "import any2seg_sim.rig", "core imports any2seg_sim"),
    "lower sees higher": ("any2seg_core/frames.py", "import any2seg_core.config", "frames imports config"),
    "same level": ("any2seg_core/config.py", "from any2seg_core import synchronizer", "config imports synchronizer"),
    "robot sees teacher": ("any2seg_core/inference.py", "import any2seg_core.trainer", "inference imports trainer"),
    "model sees teacher": ("any2seg_core/model/encoder.py", "import any2seg_core.teacher", "model imports teacher"),
    "no layer": ("any2seg_core/helpers.py", "import any2seg_core.errors", "stands in no layer"),
    "node sees torch": ("any2seg_ros/node.py", "import torch", "any2seg_ros imports torch"),
    "late torch": ("any2seg_ros/node.py", "def f():\n    import torch", "any2seg_ros imports torch"),
    "node sees simulator": ("any2seg_ros/node.py", "import any2seg_sim", "imports any2seg_sim"),
    "rclpy elsewhere": ("any2seg_ros/conversions.py", "import rclpy", "outside the files that may"),
    "rclpy in replay": ("any2seg_ros/replay/play.py", "from rclpy.node import Node", "outside the files that may"),
    "rclpy in the renderer": ("any2seg_sim/tracer.py", "import rclpy", "outside the files that may"),
    "training imported": ("any2seg_core/trainer.py", "import training.train", "never packaged"),
    "relative": ("any2seg_core/model/segmentor.py", "from . import encoder", "relative import"),
    "prints": ("any2seg_core/trainer.py", "def f():\n    print(1)", "prints"),
    "body runs": ("any2seg_core/trainer.py", "for i in range(3):\n    pass", "module body runs For"),
    "body seeds": ("any2seg_core/trainer.py", "import torch\nseed = torch.manual_seed(0)", "calls torch.manual_seed"),
    "path hack": ("any2seg_ros/main.py", "import sys\ndef f():\n    sys.path.insert(0, 'x')", "calls sys.path.insert"),
    "eval": ("any2seg_core/config.py", "def f(s):\n    return eval(s)", "calls eval"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_caught(tmp_path, case):
    name, source, expected = PLANTED[case]
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    found = violations(tmp_path)
    assert any(expected in line and line.startswith(name) for line in found), found


def test_what_is_allowed_is_not_caught(tmp_path):
    path = tmp_path / "any2seg_core" / "model" / "segmentor.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        '"""Doc."""\nfrom typing import TYPE_CHECKING\nimport torch\nfrom any2seg_core.model.encoder import E\n'
        "from any2seg_core.config import C\nX = 3\nif TYPE_CHECKING:\n    import numpy\n\n"
        "def f():\n    torch.zeros(3)\n",
        encoding="utf-8",
    )
    assert violations(tmp_path) == []


def test_torch_free_modules_import_without_torch():
    modules = ", ".join(f"any2seg_core.{name}" for name in TORCH_FREE)
    ros = [path.stem for path in (ROOT / "any2seg_ros").glob("*.py") if path.stem not in ("node", "main", "__init__")]
    others = ", ".join(f"any2seg_ros.{name}" for name in ros)
    code = f"import sys; sys.modules['torch'] = None; import {modules}, {others}"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_every_source_file_states_its_licence():
    header = "# Copyright 2026 The any2seg authors\n# SPDX-License-Identifier: Apache-2.0\n"
    folders = (*PACKAGES, "launch", "test", "training")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    missing = [str(path.relative_to(ROOT)) for path in paths if not path.read_text(encoding="utf-8").startswith(header)]
    assert paths
    assert missing == []
