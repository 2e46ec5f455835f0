"""The product that new runs begin with, chosen once a machine: equal runs have equal losses, whichever process trains.

The two products round differently, and a near draw between them may be measured either way. So the first process that
asks measures, and writes the answer into the folder of texts; all others, now and later, the command line too, read it.
"""

import json
import platform
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from lmviz.corpora.store import data_dir
from lmviz.models.linear import Product, fastest_product
from lmviz.runs import write_json

FILE = ".product.json"
"""In data_dir(): {processor and version of torch: product}. Without it, it is measured anew."""
PATIENCE = 10.0
"""Seconds to wait for another process that measures, which takes a tenth of one."""


def product_here() -> Product:
    """torch or onednn: the same answer in every process on this machine that has the same folder of texts.

    Where that folder cannot be written, each process measures for itself.
    """
    return _product(data_dir(), _machine())


@cache
def _product(folder: Path, machine: str) -> Product:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{FILE}.lock", timeout=PATIENCE):
            known = _read(folder / FILE)
            if known.get(machine) not in ("torch", "onednn"):
                known[machine] = fastest_product()
                write_json(folder / FILE, known)
            return known[machine]
    except (OSError, Timeout):
        return fastest_product()


def _read(path: Path) -> dict[str, Product]:
    """Nothing if it is not there or damaged."""
    try:
        known = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _machine() -> str:
    """What decides which is faster; a folder may be shared by machines that differ."""
    return f"{_processor()}, torch {torch.__version__}"


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
