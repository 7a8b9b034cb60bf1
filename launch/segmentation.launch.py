# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Start segmentation_node: ros2 launch any2seg segmentation.launch.py rig:=realsense_d4xx,ouster checkpoint:=...

Parameters are taken from the rig files, then params_file, then the arguments of their own, then the argument
parameters; the later wins. This file imports nothing of any2seg: the interpreter that runs it may lack torch.
"""

import os
import sys
import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

CONFIG = Path(__file__).resolve().parent.parent / "config"
NODE = "segmentation_node"

INPUTS = ("rgb/image", "rgb/camera_info", "depth/image", "depth/camera_info")
INPUTS += ("event/events", "event/camera_info", "lidar/points")
"""Topics the node subscribes to, relative to its namespace; a rig or an argument may remap each."""

OVERRIDES = (("checkpoint", "inference.checkpoint", str), ("autostart", "autostart", bool))
OVERRIDES += (("use_sim_time", "use_sim_time", bool),)
"""Argument, parameter that it sets where it is not empty (else the files decide), and type."""

FAST_DDS_2 = ("humble", "iron", "jazzy")
"""Distributions whose Fast DDS reads the old name of the variable; Fast DDS 3 warns of it."""

END_TIMEOUT_S = "35"
"""Time to end in after Ctrl-C: the node lets the frame in work finish, for up to 30 s; launch's own 5 s kill it."""

VIEWED = ("overlay", "color", "points", "camera_info")
"""Outputs of the node that config/rviz/any2seg.rviz shows."""


def topic_argument(topic: str) -> str:
    """Name the launch argument of a topic: rgb/image -> rgb_image_topic."""
    return topic.replace("/", "_") + "_topic"


def default_python() -> str:
    """Find the interpreter that has torch: an activated virtual environment's, else the one that runs this."""
    activated = Path(os.environ.get("VIRTUAL_ENV", "")) / "bin" / "python"
    return str(activated) if activated.is_absolute() and activated.exists() else sys.executable


def profile_variables() -> list[str]:
    """Name the environment variables through which this distribution's Fast DDS finds a profile."""
    old = ["FASTRTPS_DEFAULT_PROFILES_FILE"] if os.environ.get("ROS_DISTRO") in FAST_DDS_2 else []
    return ["FASTDDS_DEFAULT_PROFILES_FILE", *old]


def default_profile() -> str:
    """Find the Fast DDS profile: the user's own where one is set, else ours."""
    own = [os.environ[name] for name in profile_variables() if os.environ.get(name)]
    return own[0] if own else str(CONFIG / "fastdds.xml")


def rig_names() -> list[str]:
    """List the rigs that come with the package."""
    return sorted(path.stem for path in (CONFIG / "rigs").glob("*.yaml"))


def arguments() -> list[DeclareLaunchArgument]:
    """All launch arguments with their defaults."""
    told = {
        "rig": ("", f"sensors: rig files' paths or names, with commas between; names are {', '.join(rig_names())}"),
        "params_file": ("", "YAML file of the node's parameters; if empty and no rig is given, the package's own"),
        "parameters": ("", "further parameters as YAML, for example '{output.confidence_floor: 0.3}'"),
        "checkpoint": ("", "the model: a folder, a shipped one's name or 'untrained'; if empty, the files decide"),
        "namespace": ("", "namespace of the node; topics without a leading / lie in it, a rig's too"),
        "name": (NODE, "name of the node"),
        "autostart": ("", "true or false: configure and activate at start; if empty, the files decide"),
        "use_sim_time": ("", "true or false: take time from /clock; if empty, the files decide"),
        "namespaced_tf": ("false", "true or false: listen to tf and tf_static in the namespace, not to /tf"),
        "respawn": ("false", "true or false: start the node again if it dies"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
        "python": (default_python(), "Python interpreter that has torch and the rest"),
        "fastdds_profile": (default_profile(), "XML profile of Fast DDS; give it to the drivers too"),
        "viewer": ("none", "none, rviz or foxglove: show the outputs, where that is installed"),
        "fixed_frame": ("base_link", "the frame that RViz draws in"),
    }
    for topic in INPUTS:
        told[topic_argument(topic)] = ("", f"topic to take for {topic}; if empty, the rig's, or {topic} itself")
    return [DeclareLaunchArgument(name, default_value=value, description=text) for name, (value, text) in told.items()]


def read_rig(rig: str) -> tuple[dict, dict]:
    """Read a rig file: what its topics are called, and parameters.

    Args:
        rig: a name out of rig_names, or a path.
    """
    path = Path(rig) if rig.endswith((".yaml", ".yml")) else CONFIG / "rigs" / f"{rig}.yaml"
    if not path.is_file():
        msg = f"rig: found no file {str(path)!r}, expected the path of a .yaml file or one of {', '.join(rig_names())}"
        raise FileNotFoundError(msg)
    with path.open(encoding="utf-8") as file:
        sections = yaml.safe_load(file)
    known = {"topics", "parameters"}
    if not isinstance(sections, dict) or not all(isinstance(sections.get(name, {}), dict) for name in known):
        msg = f"rig {path}: found no mapping, expected sections topics and parameters, each name: value"
        raise ValueError(msg)
    topics, parameters = sections.get("topics", {}), sections.get("parameters", {})
    wrong = [name for name in sections if name not in known] or [topic for topic in topics if topic not in INPUTS]
    if wrong:
        msg = f"rig {path}: found {wrong[0]!r}, expected sections topics and parameters, and topics {', '.join(INPUTS)}"
        raise ValueError(msg)
    return topics, parameters


def read_rigs(rigs: str) -> tuple[dict, dict]:
    """Read rig files and join them: every sensor of each; what two of them say must be the same."""
    topics, parameters, modalities = {}, {}, []
    for rig in filter(None, (part.strip() for part in rigs.split(","))):
        own_topics, own_parameters = read_rig(rig)
        own_parameters = dict(own_parameters)
        modalities += [name for name in own_parameters.pop("modalities", []) if name not in modalities]
        for joined, own in ((topics, own_topics), (parameters, own_parameters)):
            for name, value in own.items():
                if joined.setdefault(name, value) != value:
                    msg = (
                        f"rig {rigs}: found {name} = {joined[name]} and {value}, expected one value; write one rig file"
                    )
                    raise ValueError(msg)
    return topics, {**parameters, **({"modalities": modalities} if modalities else {})}


def typed(parameters: dict) -> dict:
    """Keep text as text: launch_ros would take the text '1' for a number."""
    return {name: ParameterValue(v, value_type=str) if isinstance(v, str) else v for name, v in parameters.items()}


def parameter_sources(value, rig_parameters: dict) -> list:
    """List where the node's parameters come from, the last winning; value gives an argument's value."""
    file = value("params_file") or ("" if value("rig") else str(CONFIG / "segmentation.yaml"))
    if file and not Path(file).is_file():
        # launch_ros would only warn, and the node run on defaults.
        msg = f"params_file: found no file {file!r}, expected a YAML file of parameters; correct the path"
        raise FileNotFoundError(msg)
    further = yaml.safe_load(value("parameters")) or {}
    if not isinstance(further, dict):
        msg = f"parameters: found {value('parameters')!r}, expected YAML such as '{{output.confidence_floor: 0.3}}'"
        raise TypeError(msg)
    overrides = {
        parameter: ParameterValue(TextSubstitution(text=value(argument)), value_type=kind)
        for argument, parameter, kind in OVERRIDES
        if value(argument)
    }
    return [source for source in (typed(rig_parameters), file, {**overrides, **typed(further)}) if source]


def segmentation(context, *_args):
    """Make the node, and the viewer if one is asked for, from the arguments' values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    rig_topics, rig_parameters = read_rigs(value("rig"))
    topics = {topic: value(topic_argument(topic)) or rig_topics.get(topic, topic) for topic in INPUTS}
    in_namespace = [("/tf", "tf"), ("/tf_static", "tf_static")] if value("namespaced_tf").lower() == "true" else []
    node = Node(
        # The interpreter itself, not the console script: it works for colcon and for pip installs alike.
        executable=value("python"),
        exec_name=value("name"),
        arguments=["-m", "any2seg_ros.main", "--ros-args", "--log-level", value("log_level")],
        namespace=value("namespace"),
        name=value("name"),
        parameters=parameter_sources(value, rig_parameters),
        remappings=[*topics.items(), *in_namespace],
        respawn=value("respawn").lower() == "true",
        respawn_delay=2.0,
        sigterm_timeout=END_TIMEOUT_S,
        output="screen",
        emulate_tty=True,
    )
    return [node, *viewer(value, topics, in_namespace)]


def viewer(value, topics: dict, in_namespace: list) -> list:
    """Make the viewer: its layout names topics as they are called without rig, namespace and name."""
    package = {"none": "", "rviz": "rviz2", "foxglove": "foxglove_bridge"}.get(value("viewer"))
    if package is None:
        msg = f"viewer: found {value('viewer')!r}, expected none, rviz or foxglove"
        raise ValueError(msg)
    if not package:
        return []
    try:
        get_package_prefix(package)
    except LookupError:  # no such package, or no ROS distribution sourced at all
        text = f"viewer: found no package {package}; install it to see the outputs. The node runs without it"
        return [LogInfo(msg=text)]
    sim_time = [{"use_sim_time": ParameterValue(TextSubstitution(text=value("use_sim_time")), value_type=bool)}]
    made = {"package": package, "executable": package, "namespace": value("namespace"), "output": "screen"}
    made["parameters"] = sim_time if value("use_sim_time") else []
    own = "/".join(["", *filter(None, (value("namespace").strip("/"), value("name")))])
    if package == "foxglove_bridge":
        layout = foxglove_layout(own)
        return [Node(**made), LogInfo(msg=f"Foxglove: connect to ws://localhost:8765 and import {layout}")]
    shown = [(f"/{NODE}/{output}", f"{own}/{output}") for output in VIEWED]
    shown += [(f"/{topic}", target) for topic, target in topics.items()]
    layout = str(CONFIG / "rviz" / "any2seg.rviz")
    return [Node(**made, arguments=["-d", layout, "-f", value("fixed_frame")], remappings=[*shown, *in_namespace])]


def foxglove_layout(own: str) -> Path:
    """Give the layout for a node of this full name: the file itself, or a copy with other names, which stays."""
    layout = CONFIG / "foxglove" / "any2seg.json"
    if own == f"/{NODE}":
        return layout
    copy = Path(tempfile.mkdtemp(prefix="any2seg_")) / f"{own.strip('/').replace('/', '_')}.json"
    copy.write_text(layout.read_text(encoding="utf-8").replace(f"/{NODE}/", f"{own}/"), encoding="utf-8")
    return copy


def generate_launch_description() -> LaunchDescription:
    """Describe the launch for ros2 launch."""
    profile = LaunchConfiguration("fastdds_profile")
    return LaunchDescription(
        [
            *arguments(),
            *(SetEnvironmentVariable(name, profile) for name in profile_variables()),
            OpaqueFunction(function=segmentation),
        ]
    )
