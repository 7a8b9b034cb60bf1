# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the node's services do: switch sensors on and off, and load another checkpoint beside the one in use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from any2seg_core.errors import Any2SegError
from any2seg_core.frames import Modality, subset_key
from any2seg_ros.agreement import agreed
from any2seg_ros.diagnostics import describe_problem
from any2seg_ros.topics import message_type

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from any2seg_core.config import InferenceConfig, NodeConfig
    from any2seg_core.inference import EnduringSegmenter
    from any2seg_ros.session import Session

    OpenModel = Callable[[InferenceConfig, list[Modality]], EnduringSegmenter]

T = TypeVar("T")

NOT_CONFIGURED: Final = "the node is not configured; configure it first"


class Background(Generic[T]):
    """A call on a thread of its own, which a coroutine may await under any executor.

    It gives way with a bare yield, which rclpy's executors take for "ask again when something wakes you": a timer
    should run meanwhile.

    Args:
        work: what to call; what it raises is raised where it is awaited.
        name: of the thread, as debuggers show it.
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __await__(self) -> Generator[None, None, T]:
        while self._thread.is_alive():
            yield
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except Exception as error:  # noqa: BLE001  # raised again where the result is awaited
            self._error = error


def switch(session: Session | None, modality: Modality, *, enabled: bool) -> tuple[bool, str]:
    """Switch a sensor on or off; gives success, and what became of it or why not."""
    if session is None:
        return False, NOT_CONFIGURED
    try:
        session.enable(modality, enabled=enabled)
    except Any2SegError as error:
        return False, str(error)
    return True, f"{modality.value} {'enabled' if enabled else 'disabled'}; {_in_use(session)}"


def reload_checkpoint(
    session: Session, config: NodeConfig, open_model: OpenModel, release: Callable[[], None]
) -> tuple[bool, str]:
    """Load the checkpoint that the settings name, warm it up beside the one in use, and go on with it.

    Whatever goes wrong, the one in use stays. Both are in memory for a while.

    Args:
        session: what is to go on with it.
        config: the node's settings as they are now.
        open_model: opens the model of the settings.
        release: gives memory back that nobody holds any more.

    Returns:
        Success, and what is in use now or why it did not work.
    """
    try:
        return True, _exchange(session, config, open_model)
    except Exception as error:  # noqa: BLE001  # a library failed: the model in use goes on, and the caller is told
        return False, ": ".join(filter(None, describe_problem(error, "")))
    finally:
        release()


def _exchange(session: Session, config: NodeConfig, open_model: OpenModel) -> str:
    """Exchange the model, or raise what came in the way; says what is in use now."""
    segmenter = open_model(config.inference, [Modality(name) for name in config.modalities])
    _make_ready(segmenter, config, session.pipeline.disabled)
    session.adopt(segmenter)
    degraded = f"; {segmenter.degraded}" if segmenter.degraded else ""
    model = f"model {segmenter.name!r} on {segmenter.device}, {len(segmenter.classes)} classes"
    return f"{model}; {_in_use(session)}{degraded}"


def _make_ready(segmenter: EnduringSegmenter, config: NodeConfig, disabled: frozenset[Modality]) -> None:
    """Check that the sensors a model takes can be had, and warm it up.

    Raises:
        Any2SegError: it fits no sensor, the messages of one are not installed, or memory does not suffice.
    """
    for modality in agreed(config, segmenter.modalities, disabled):
        message_type(modality, config.event.message, config.transport(modality))
    segmenter.warm_up(config.inference.warm_up_height_px, config.inference.warm_up_width_px)


def _in_use(session: Session) -> str:
    off = session.pipeline.disabled
    return f"in use: {subset_key(known for known in session.pipeline.modalities if known not in off)}"
