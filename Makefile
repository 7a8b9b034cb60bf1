# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
#
# make demo    render a street, kill sensors, watch the node keep going; results in out/demo/
# make test    linters, types and the whole test suite
# make docs    write the generated pages again
# make bench   time each step against a plain counterpart; figures in out/bench.json
# make model   train the model that ships, from nothing; six hours on two cores, stopped it goes on
# make study   train and score what docs/study.md compares; half a day on two cores, stopped it goes on
#
# Each does all the set-up itself, once, into .venv; PYTHON=... picks the interpreter (3.10 to 3.12).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready

# Real DDS, kept on this machine. A sourced ROS distribution's own choice of middleware wins.
export RMW_IMPLEMENTATION ?= rmw_fastrtps_cpp
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export FASTDDS_DEFAULT_PROFILES_FILE ?= $(CURDIR)/config/fastdds.xml
# The rclpy wheels' start-up guard of another environment would keep ours from finding its libraries.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

ifdef ROS_DISTRO
# The distribution's rclpy is built for the system's Python.
PYTHON ?= /usr/bin/python3
VENV_FLAGS := --system-site-packages
EXTRAS := sim,replay,train,backends,test
else
PYTHON ?= $(shell for p in python3.12 python3.11 python3.10 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
VENV_FLAGS :=
EXTRAS := ros,sim,replay,train,backends,test
endif

.PHONY: help demo test docs bench street model study clean

help:
	@sed -n 's/^# make/  make/p' Makefile

$(READY): setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.12 with venv and pip found. Install one, or: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON), once; torch alone is large, this takes minutes ..."
	@test -x $(PY) || $(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(READY)
	@$(PY) -m any2seg_sim.demo --out out/demo

test: $(READY)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --ignore test/ros
	@OMP_NUM_THREADS=1 $(PY) -m pytest test/ros

docs: $(READY)
	@$(PY) -m any2seg_ros.parameter_table docs/parameters.md

bench: $(READY)
	@$(PY) training/benchmark.py --out out/bench.json

street: $(READY)
	@$(PY) -m any2seg_sim dataset --out out/street --seeds 0:50 --size 256x256 --frames 4 --every 5

model: street
	@for part in street street_more street_last street_end street_final; do \
		$(PY) training/train.py training/experiments/any2seg_b0_$$part.yaml; done
	@$(PY) training/ship.py out/runs/any2seg-b0-street-final --data out/street --out any2seg_core/checkpoints/any2seg-b0-street

study: street
	@test -d out/street-clip || $(PY) training/street_clip.py training/experiments/study_lscd.yaml
	@$(PY) training/cache_teacher.py training/experiments/study_lscd.yaml
	@$(PY) training/run_grid.py training/experiments/grids/study.yaml --out out/grids/study
	@$(PY) training/study.py out/grids/study --data out/street --out docs

clean:
	rm -rf $(VENV) out build install log *.egg-info
