# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A sheet of every kind of object, each alone on plain ground, with its size and its classes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES, CameraModel
from any2seg_sim.drive import Drive
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects import barriers, bikes, cars, clutter, furniture, heavy, people, plants, railway, signals
from any2seg_sim.objects.bodies import Look, person
from any2seg_sim.objects.buildings import STYLES, building, church, warehouse
from any2seg_sim.open_lots import fountain
from any2seg_sim.renderer import Renderer
from any2seg_sim.rig import rotation_about
from any2seg_sim.scene import Scene
from any2seg_sim.sensors.camera import expose
from any2seg_sim.shapes import slab
from any2seg_sim.traffic import Dog
from any2seg_sim.weather import Weather
from any2seg_sim.world.path import Path as Way
from any2seg_sim.world.timetable import Timetable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

_TURN: Final = {"+x": 0.0, "-x": math.pi, "-y": math.pi / 2}
"""How far an object is turned so that its front looks along +x."""
_ASIDE_RAD, _ABOVE_RAD = math.radians(38.0), math.radians(14.0)
"""Whence the camera looks: beside the front, from above."""
_SUN: Final = (0.62, -0.2, 0.76)
_HALF_FOV: Final = math.tan(math.radians(17.0))
_ROOM: Final = 1.06
_HIGH: Final = 0.8
"""Height of a picture, as a share of its width."""
_FINER: Final = 2
"""Pictures are rendered so much larger than they are shown."""
_PAPER: Final = (236, 237, 240)
_INK: Final = (20, 24, 31)
_CAPTION_PX: Final = 34
_GAP_PX: Final = 4
_SMALLEST_PX, _LARGEST_PX = 60, 600
_COLUMNS: Final = 11
# Plain ground is no object: it has the class of the sky.
_GROUND: Final = Paint(Label.SKY, Surface.PLAIN, (0.5, 0.5, 0.5))
_RED, _BLUE = (0.45, 0.03, 0.03), (0.04, 0.1, 0.32)


@dataclass(frozen=True)
class Exhibit:
    """An object to show.

    Attributes:
        build: makes it, from a source of chance where it has any.
        front: the direction that its front faces: +x, -x or -y.
    """

    build: Callable[[np.random.Generator], Mesh]
    front: str = "+x"

    def turned(self, rng: np.random.Generator) -> Mesh:
        """Build it with its front to +x."""
        return self.build(rng).moved(yaw=_TURN[self.front])


def _made(build: Callable[..., Mesh], *given: object, front: str = "+x", chance: bool = False, **named: Any) -> Exhibit:
    """Show what a builder makes of some arguments, a source of chance before them if it draws anything."""
    return Exhibit(lambda rng: build(*([rng] if chance else []), *given, **named), front)


def exhibits() -> dict[str, Exhibit]:
    """List every kind of object by name."""
    found = {name: _made(cars.car, name, _RED) for name in cars.CAR_SHAPES}
    found["bus"] = _made(heavy.bus, heavy.BUS_COLOURS[1])
    found |= {f"truck, {kind}": _made(heavy.truck, heavy.TRUCK_COLOURS[0], kind=kind) for kind in heavy.TRUCKS}
    found |= _riders() | _walkers()
    found |= {f"sign, {kind}": _made(signals.traffic_sign, kind, front="-x") for kind in signals.SIGN_KINDS}
    found["direction board"] = _made(signals.direction_board, front="-x")
    found["traffic light"] = _made(signals.traffic_light, lit="red", front="-x")
    found["lights on an arm"] = _made(signals.traffic_light, arm=-4.4, front="-x")
    found["level crossing"] = _made(signals.crossing_light, front="-x")
    things = (*_FURNITURE, *_CLUTTER)
    found |= {build.__name__.replace("_", " "): _made(build, front="-y") for build in things}
    found["boat"] = _made(clutter.boat, chance=True)
    return found | _long() | _plants() | _houses()


_FURNITURE: Final[tuple[Callable[[], Mesh], ...]] = (
    furniture.street_lamp,
    furniture.bench,
    furniture.litter_bin,
    furniture.hydrant,
    furniture.bus_shelter,
    furniture.cabinet,
    furniture.bollards,
    furniture.planter,
    furniture.skip,
    furniture.terrace_table,
)
_CLUTTER: Final[tuple[Callable[[], Mesh], ...]] = (
    clutter.rubbish,
    clutter.parcels,
    clutter.road_works,
    clutter.street_works,
    clutter.kiosk,
    clutter.phone_box,
    clutter.statue,
    clutter.market_stall,
    clutter.playground,
    fountain,
)


def _riders() -> dict[str, Exhibit]:
    """List two-wheelers, alone and ridden."""
    made = {"bicycle": bikes.bicycle, "scooter": bikes.scooter, "motorcycle": bikes.motorcycle}
    seats = {
        "bicycle": (bikes.BICYCLE_SEAT, bikes.BICYCLE_CRANK, 0.4, 0.17),
        "scooter": (bikes.SCOOTER_SEAT, bikes.SCOOTER_PEGS, 0.1, 0.0),
        "motorcycle": (bikes.MOTORCYCLE_SEAT, bikes.MOTORCYCLE_PEGS, 0.3, 0.0),
    }

    def ridden(rng: np.random.Generator, name: str) -> Mesh:
        seat, crank, lean, pedals = seats[name]
        who = people.rider(rng, seat=seat, crank=crank, lean=lean, pedals=pedals)
        return Mesh.merged([made[name](_BLUE), who.posed(0.3)])

    alone = {name: _made(build, _BLUE) for name, build in made.items()}
    return alone | {f"{name}, ridden": _made(ridden, name, chance=True) for name in made}


def _walkers() -> dict[str, Exhibit]:
    """List people in all clothes and with all that they carry, in steps that follow each other."""
    looks = {
        "standing": ("trousers", "short", "none"),
        "walking": ("trousers", "short", "none"),
        "shorts, backpack": ("shorts", "cap", "backpack"),
        "skirt, handbag": ("skirt", "long", "handbag"),
        "coat, shopping": ("coat", "bun", "shopping"),
        "hood, pram": ("trousers", "hood", "pram"),
    }

    def walking(rng: np.random.Generator, name: str, step: int) -> Mesh:
        drawn, (dress, hairdo, bag) = Look.drawn(rng, 1.74), looks[name]
        look = replace(drawn, dress=dress, hairdo=hairdo, bag=bag, sleeves=dress != "shorts")
        return people.Walker(person(look), look.height).posed(0.23 * step, going=float(name != "standing"))

    shown = {name: _made(walking, name, step, chance=True) for step, name in enumerate(looks)}
    shown["far away"] = Exhibit(lambda rng: people.walker(rng, fine=False).posed(0.3))
    return {**shown, "dog": Exhibit(lambda rng: Dog(people.dog(rng)).posed(0.1))}


def _long() -> dict[str, Exhibit]:
    """List what is built by the metre, and what spans the road."""
    found = {f"fence, {kind}": _made(barriers.fence, 5.0, kind=kind, front="-y") for kind in barriers.FENCES}
    found["railing"] = _made(barriers.railing, 5.0, front="-y")
    found["guard rail"] = _made(barriers.guard_rail, 5.0, front="-y")
    kinds = ("brick", "stone", "concrete")
    found |= {f"wall, {kind}": _made(barriers.wall, 6.0, kind=kind, front="-y") for kind in kinds}
    found["track"] = Exhibit(lambda _: railway.track(8.0).moved(z=0.4))
    found["street track"] = Exhibit(lambda _: railway.street_track(8.0).moved(z=0.03))
    found["tunnels"] = _made(railway.portal, 11.4, front="-y")
    found["viaduct"] = _made(railway.viaduct, 10.8, 24.0, 24.0)
    found["footbridge"] = _made(railway.footbridge, 10.75)
    return found


def _plants() -> dict[str, Exhibit]:
    """List what grows."""
    found = {name: _made(plants.tree, name, chance=True) for name in (*plants.SPECIES, "spruce")}
    found["bush"] = Exhibit(plants.bush)
    found["hedge"] = _made(plants.hedge, 5.0, front="-y", chance=True)
    found["flower bed"] = _made(plants.flower_bed, 4.0, 1.5, front="-y", chance=True)
    return found


def _houses() -> dict[str, Exhibit]:
    """List buildings."""
    found = {f"{style} house": _made(building, style, 12.0, 4, front="-y", chance=True) for style in STYLES}
    found["warehouse"] = _made(warehouse, 16.0, front="-y", chance=True)
    found["church"] = Exhibit(church, "-y")
    return found


def picture_of(mesh: Mesh, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render an object, its front to +x, that fills the picture.

    Returns:
        (H, W, 3) uint8 RGB; (H, W) uint8 exact classes, that of the sky where there is nothing.
    """
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)).astype(np.float64) / 2
    turn = rotation_about(2, _ASIDE_RAD) @ rotation_about(1, -_ABOVE_RAD)
    # Optical frame: z into the scene, x to the right, y down.
    axes = np.stack([turn[:, 1], -turn[:, 2], -turn[:, 0]], 1)
    right, down, into = ((mesh.vertices - middle) @ axes).astype(np.float64).T
    away = _ROOM * float(np.max(np.maximum(np.abs(right), np.abs(down) / _HIGH) / _HALF_FOV - into))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = axes, middle - away * axes[:, 2]
    height = round(_HIGH * width)
    focal = width / 2 / _HALF_FOV
    k = np.array([(focal, 0.0, (width - 1) / 2), (0.0, focal, (height - 1) / 2), (0.0, 0.0, 1.0)])
    camera = CameraModel(width, height, k)
    weather = replace(Weather.drawn("sun", np.random.default_rng(0)), sun=np.array(_SUN, np.float32), fog_per_m=0.0)
    still = Mesh.merged([mesh, slab((-400.0, 400.0), (-400.0, 400.0), (-0.5, -0.004), _GROUND)])
    path = Way.of_curvature((0.0, 0.0, 0.0), [(0.0, 0.0), (1.0, 0.0)])
    scene = Scene(still, (), Drive(path, Timetable.along(path, 0.0, 0.0), 0.0), ())
    frame = Renderer(scene, weather=weather, samples=4).frame(camera, pose)
    picture = expose(frame.radiance, exposure=weather.exposure)
    picture[np.isnan(frame.depth)] = _PAPER
    return picture, frame.labels


def write_gallery(path: Path, seed: int = 0, *, tile_px: int = 150) -> None:
    """Write gallery's picture as PNG of 256 colours, which are a quarter of the bytes.

    Raises:
        ConfigError: the file cannot be written, or tile_px is out of bounds.
    """
    sheet = Image.fromarray(gallery(seed, tile_px=tile_px))
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        sheet.quantize(256, dither=Image.Dither.NONE).save(unfinished, "PNG", optimize=True)
        unfinished.replace(path)
    except OSError as error:
        msg = f"gallery: found {path} not writable ({error}), expected a file in an existing folder"
        raise ConfigError(msg) from error


def gallery(seed: int = 0, *, tile_px: int = 150) -> NDArray[np.uint8]:
    """Draw every kind of object in rows, each with its name, its size and the colours of its classes below.

    Args:
        seed: decides what is drawn by chance: leaves, clothes, houses.
        tile_px: width of a picture.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ConfigError: tile_px is out of bounds.
    """
    if not _SMALLEST_PX <= tile_px <= _LARGEST_PX:
        msg = f"gallery: found tiles {tile_px} pixels wide, expected {_SMALLEST_PX} to {_LARGEST_PX}; choose others"
        raise ConfigError(msg)
    shown = exhibits()
    step = tile_px + _GAP_PX, round(_HIGH * tile_px) + _CAPTION_PX
    sheet = Image.new("RGB", (_COLUMNS * step[0] + _GAP_PX, -(-len(shown) // _COLUMNS) * step[1] + _GAP_PX), _PAPER)
    for index, (name, exhibit) in enumerate(tqdm(shown.items(), desc="gallery", unit="object")):
        mesh = exhibit.turned(np.random.default_rng(seed))
        corner = _GAP_PX + index % _COLUMNS * step[0], _GAP_PX + index // _COLUMNS * step[1]
        _hang(sheet, corner, name, mesh, tile_px)
    return np.asarray(sheet)


def _hang(sheet: Image.Image, corner: tuple[int, int], name: str, mesh: Mesh, width: int) -> None:
    """Draw one object with its caption."""
    picture, labels = picture_of(mesh, _FINER * width)
    left, top = corner
    below = top + round(_HIGH * width)
    shown = Image.fromarray(picture).resize((width, below - top), Image.Resampling.LANCZOS)
    sheet.paste(shown, corner)
    pen = ImageDraw.Draw(sheet)
    counts = np.bincount(labels[labels != Label.SKY], minlength=len(DELIVER_CLASSES.names))
    edges = left + np.concatenate([[0], np.cumsum(counts)]) * width / max(counts.sum(), 1)
    for label in np.flatnonzero(counts):
        colour = DELIVER_CLASSES.colourize(np.full((1, 1), label, np.uint8))[0, 0]
        pen.rectangle((edges[label], below, edges[label + 1], below + 8), tuple(colour.tolist()))
    length, across, high = np.ptp(mesh.vertices, axis=0).tolist()
    pen.text((left, below + 11), name, _INK, ImageFont.load_default(11))
    pen.text(
        (left, below + 22), f"{length:.1f} x {across:.1f} x {high:.1f} m", (90, 95, 105), ImageFont.load_default(9)
    )
