# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The sheet of objects: everything hangs in it, fills its picture and wears the colours of its classes."""

import cv2
import numpy as np
import pytest

from any2seg_core.errors import ConfigError
from any2seg_core.frames import DELIVER_CLASSES
from any2seg_sim import gallery as module
from any2seg_sim.__main__ import main
from any2seg_sim.gallery import Exhibit, exhibits, gallery, picture_of
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import slab

FEW = ("sedan", "walking", "sign, stop")


@pytest.fixture
def few(monkeypatch):
    chosen = {name: exhibits()[name] for name in FEW}
    monkeypatch.setattr(module, "exhibits", lambda: chosen)


def test_an_object_fills_its_picture():
    for name in FEW:
        picture, labels = picture_of(exhibits()[name].turned(np.random.default_rng(0)), 200)
        assert picture.shape == (160, 200, 3)
        rows, columns = np.nonzero(labels != Label.SKY)
        assert np.ptp(rows) > 0.75 * 160 or np.ptp(columns) > 0.75 * 200
        assert abs((rows.min() + rows.max()) / 2 - 79.5) < 24
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        assert np.all(edge == Label.SKY)


def test_the_front_of_an_object_is_seen():
    red, blue = (Paint(Label.OTHER, Surface.PLAIN, rgb) for rgb in ((0.8, 0, 0), (0, 0, 0.8)))
    boxes = {
        "+x": slab((0.8, 1), (-1, 1), (0, 1), red),
        "-x": slab((-1, -0.8), (-1, 1), (0, 1), red),
        "-y": slab((-1, 1), (-1, -0.8), (0, 1), red),
    }
    for front, plate in boxes.items():
        both = [plate, slab((-0.79, 0.79), (-0.79, 0.79), (0, 1), blue)]
        shown = Exhibit(lambda _, both=both: Mesh.merged(both), front).turned(np.random.default_rng(0))
        picture, labels = picture_of(shown, 100)
        seen = picture[labels == Label.OTHER].astype(int)
        assert np.mean(seen[:, 0] > seen[:, 2] + 40) > 0.4


@pytest.mark.usefixtures("few")
def test_the_command_writes_the_sheet(tmp_path, capsys):
    out = tmp_path / "gallery.png"
    assert main(["gallery", "--out", str(out), "--tile", "60"]) == 0
    assert str(out) in capsys.readouterr().out
    sheet = cv2.imread(str(out))[..., ::-1]
    below = sheet[4 + 48 : 4 + 48 + 8]
    cars, sign = (
        DELIVER_CLASSES.colourize(np.full((1, 1), label, np.uint8))[0, 0] for label in (Label.CARS, Label.TRAFFIC_SIGN)
    )
    assert np.mean(np.abs(below[:, 6:60].astype(int) - cars).max(-1) < 12) > 0.9
    assert np.mean(np.abs(below[:, 134:190].astype(int) - sign).max(-1) < 12) > 0.3
    assert not list(tmp_path.glob(".*"))
    again = tmp_path / "again.png"
    main(["gallery", "--out", str(again), "--tile", "60"])
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.usefixtures("few")
def test_what_cannot_be_drawn_is_said(tmp_path, capsys):
    with pytest.raises(ConfigError, match="60 to 600"):
        gallery(tile_px=4)
    assert main(["gallery", "--out", str(tmp_path / "none" / "gallery.png"), "--tile", "60"]) == 2
    assert "expected a file in an existing folder" in capsys.readouterr().err
