# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Say what a data set's folder holds and what is wrong with it.

Run: python training/check_data.py deliver /data/DELIVER [--quick] [--json]
Exit status: 0 nothing is wrong, 1 something is, 2 it could not be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from any2seg_core.data.catalog import CATALOG
from any2seg_core.data.survey import survey
from any2seg_core.errors import Any2SegError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from any2seg_core.data.inspection import Problem
    from any2seg_core.data.survey import Survey


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=CATALOG, help="kind of data set")
    parser.add_argument("root", type=Path, help="its folder")
    parser.add_argument("--only", default="", help="modalities that must be there, comma-separated; hha is one too")
    parser.add_argument("--quick", action="store_true", help="look at names only, decode nothing")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--show", type=int, default=10, help="problems of each kind to list (%(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="files decoded at once (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        with tqdm(desc="check", unit="sample", disable=options.quick) as bar:
            found = survey(
                options.dataset,
                options.root,
                only=[name for name in options.only.split(",") if name],
                quick=options.quick,
                threads=options.threads,
                start=bar.reset,
                done=bar.update,
            )
    except Any2SegError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found.to_json(), indent=2) if options.json else "\n".join(lines(found, options.show)))
    return 1 if found.problems else 0


def lines(found: Survey, show: int) -> Iterator[str]:
    """Put the findings into words."""
    yield f"{found.dataset} in {found.root}"
    for split in found.splits:
        yield from _split_lines(found, split)
    if found.sizes:
        yield "\nsizes"
    for name, sizes in found.sizes.items():
        yield f"  {name}: " + ", ".join(f"{size} ({count})" for size, count in sizes.items())
    for note in found.notes:
        yield f"\nnote: {note}"
    kinds = Counter(problem.kind for problem in found.problems)
    yield f"\n{len(found.problems)} problem(s)"
    for kind, count in kinds.items():
        yield f"  {kind}: {count}"
        yield from (f"    {each.where}: {each.what}" for each in _of_kind(found, kind)[:show])
        if count > show:
            yield f"    and {count - show} more"


def _split_lines(found: Survey, split: str) -> Iterator[str]:
    counts, pixels = found.splits[split], found.class_pixels.get(split, {})
    yield f"\n{split}: {counts['total']} samples"
    if not counts["total"]:
        return
    for kind in ("conditions", "failures"):
        if counts[kind]:
            yield f"  {kind}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts[kind].items()))
    yield "  files: " + ", ".join(f"{name} {count}" for name, count in found.files[split].items())
    total = sum(pixels.values())
    if total:
        seen = sorted(((count, name) for name, count in pixels.items() if count), reverse=True)
        yield "  pixels: " + ", ".join(f"{name} {100 * count / total:.2f} %" for count, name in seen)
        yield "  never seen: " + (", ".join(name for name, count in pixels.items() if not count) or "none")


def _of_kind(found: Survey, kind: str) -> list[Problem]:
    return [problem for problem in found.problems if problem.kind == kind]


if __name__ == "__main__":
    sys.exit(main())
