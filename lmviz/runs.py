"""The run folder: where it lies, how it is written without ever being half-written, how it is read. No torch.

    <store>/<run id>/config.json  data.json  baselines.json  tokenizer.json  status.json
                     metrics.jsonl  samples.jsonl  events.jsonl  validation.jsonl  gradients.jsonl
                     breakdown.json
                     checkpoints/<step>.safetensors  resume/<step>.safetensors  snapshots/<step>.safetensors

A worker writes it, everyone else reads it. JSON files are replaced atomically; .jsonl files are appended a line at a
time, and a reader leaves out a last line that is not finished.
"""

import contextlib
import datetime
import io
import json
import os
import re
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from lmviz.config import RunConfig
from lmviz.errors import N_, ConfigError, RunError
from lmviz.lines import Line, LineReader, parse

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_checkpoints"

State = Literal["queued", "running", "paused", "finished", "stopped", "failed"]
ACTIVE: tuple[State, ...] = ("queued", "running", "paused")
ENDED: tuple[State, ...] = ("finished", "stopped", "failed")

STEP_LINES = ("metrics.jsonl", "samples.jsonl", "validation.jsonl", "gradients.jsonl")
"""Files with a line a moment, each with its `step`, that the training writes."""

_LINES = LineReader()
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")


def store_root() -> Path:
    """The folder of all runs: LMVIZ_STORE, or `runs/` beside app.py."""
    return Path(os.environ.get("LMVIZ_STORE") or ROOT / "runs").resolve()


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader sees the old file or the new one, a full disk leaves the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


def append_line(path: Path, value: Any) -> None:
    """Add one line of JSON in one write."""
    with path.open("ab") as file:
        file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")


def write_lines(path: Path, values: list[Line]) -> None:
    """Replace a .jsonl file."""
    write_atomic(path, b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values))


def read_lines(path: Path) -> list[Line]:
    """Every whole line of a .jsonl file; none if the file is not there."""
    try:
        return parse(path.read_bytes())
    except FileNotFoundError:
        return []


class Status(BaseModel):
    """status.json: where the run stands."""

    model_config = ConfigDict(extra="ignore")

    state: State = "queued"
    step: int = 0
    """Updates done."""
    steps: int = 0
    """Updates wanted."""
    tokens: int = 0
    """Training tokens seen."""
    seconds: float = 0.0
    """Time spent in training steps, waiting for other runs not counted."""
    seconds_left: float | None = None
    """Time until the end as the clock on the wall shows it, at the present pace."""
    tokens_per_second: float | None = None
    parameters: int | None = None
    product: str | None = None
    """Who multiplies matrices in training, `torch` or `onednn`: it goes on with the one it began with."""
    stage: str = ""
    """What is being prepared before the first step."""
    stage_progress: float | None = None
    """Share of that stage that is done, 0 to 1; None where it cannot be told."""
    created: str = ""
    updated: str = ""
    worker: int | None = None
    """Process id of the one who trains it."""
    owner: str = ""
    best_step: int | None = None
    """Where the validation loss was lowest so far."""
    best_loss: float | None = None
    """The lowest validation loss so far, nats a token."""
    stopped_early: bool = False
    """It ended before its last update, as the validation loss no longer fell."""
    patience_from: int = 0
    """Early stopping counts validations after this step only: a person wanted the run to go on from there."""
    crashes: int = 0
    """How often its worker died under it."""
    error: dict[str, Any] | None = None
    """The sentence of a failed run: message, template, values."""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


def resume_path(run: "Run", step: int) -> Path:
    """The file with the whole state of training after `step` updates."""
    return run.path / "resume" / f"{step}.safetensors"


class Run:
    """One run folder. Reading never fails on a run that is still being written. Lines that it gives are shared with
    other readers: not to be changed.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.id = path.name
        self.read_only = read_only

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def config(self) -> RunConfig:
        """Raises RunError if config.json is missing or not one of ours."""
        try:
            return RunConfig.model_validate_json((self.path / "config.json").read_bytes())
        except FileNotFoundError:
            raise RunError(N_("The run {run} has no config.json; it cannot be opened."), run=self.id) from None
        except (ValidationError, ConfigError) as error:
            reason = str(error) if isinstance(error, ConfigError) else error.errors()[0]["msg"]
            raise RunError(
                N_("The config.json of run {run} cannot be read: {reason}."), run=self.id, reason=reason
            ) from None

    def is_readable(self) -> bool:
        try:
            self.config()
        except (RunError, OSError):
            return False
        return True

    def status(self) -> Status:
        try:
            return Status.model_validate_json((self.path / "status.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return Status(state="failed", error=RunError(N_("status.json is missing or damaged.")).to_dict())

    def write_status(self, status: Status) -> None:
        status.updated = now()
        write_atomic(self.path / "status.json", status.model_dump_json(indent=1).encode())

    def metrics(self) -> list[Line]:
        """Lines of metrics.jsonl, oldest first."""
        return _LINES.read(self.path / "metrics.jsonl")

    def samples(self) -> list[Line]:
        return _LINES.read(self.path / "samples.jsonl")

    def validation(self) -> list[Line]:
        """Lines of validation.jsonl: where the model was surprised, at every validation."""
        return _LINES.read(self.path / "validation.jsonl")

    def gradients(self) -> list[Line]:
        """Lines of gradients.jsonl: gradient norms by lag, and by parameter."""
        return _LINES.read(self.path / "gradients.jsonl")

    def breakdown(self) -> dict[str, Any]:
        """What the lines of `validation` speak of: the tokens of the passage, the places, the classes."""
        return self._optional("breakdown.json")

    def events(self) -> list[Line]:
        """What people changed while it ran: step, name, value."""
        return _LINES.read(self.path / "events.jsonl")

    def data(self) -> dict[str, Any]:
        """Facts about the text: tokens, characters, vocabulary; empty until it is prepared."""
        return self._optional("data.json")

    def baselines(self) -> dict[str, Any]:
        """Losses of models that anyone has for nothing: uniform, and n-grams by order; empty until counted."""
        return self._optional("baselines.json")

    def checkpoint_steps(self) -> list[int]:
        """Steps whose weights are kept, in order."""
        return sorted(int(f.stem) for f in (self.path / "checkpoints").glob("*.safetensors") if f.stem.isdigit())

    def resume_steps(self) -> list[int]:
        """Steps whose whole state of training is kept, in order."""
        return sorted(int(f.stem) for f in (self.path / "resume").glob("*.safetensors") if f.stem.isdigit())

    def resume_step(self) -> int | None:
        """The step that training can go on from."""
        return max(self.resume_steps(), default=None)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(f.stat().st_size for f in self.path.rglob("*") if f.is_file())

    def lock(self) -> FileLock:
        """Held by whoever trains the run; freed by the system when that process dies."""
        return FileLock(self.path / ".lock", timeout=0)

    def is_locked(self) -> bool:
        if self.read_only:
            return False
        try:
            with self.lock():
                return False
        except Timeout:
            return True

    def rename(self, label: str) -> None:
        """Change the label; the folder keeps its name."""
        self.forbid_read_only()
        config = self.config().model_copy(update={"name": label.strip()[:120]})
        write_json(self.path / "config.json", config.model_dump(mode="json"))

    def forbid_read_only(self) -> None:
        if self.read_only:
            raise RunError(
                N_("{run} is a sample run and cannot be changed. Duplicate it and change the copy."), run=self.id
            )

    def zip(self) -> bytes:
        """The whole folder as a zip file, without what only serves to go on training."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(self.path.rglob("*")):
                inside = file.relative_to(self.path)
                if file.is_file() and inside.parts[0] != "resume" and not file.name.startswith("."):
                    archive.write(file, Path(self.id) / inside)
        return buffer.getvalue()

    def _optional(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.path / name).read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return value if isinstance(value, dict) else {}


class Store:
    """All runs a person can see: those of the store, and the samples that come with the app (read-only)."""

    def __init__(self, root: Path | None = None, samples: Path | None = SAMPLES) -> None:
        self.root = Path(root).resolve() if root else store_root()
        self.samples = samples

    def create(self, config: RunConfig, owner: str = "", fill: Callable[[Path], None] | None = None) -> Run:
        """A new folder in state queued; it appears whole or not at all. `fill` may put more into it before that.

        Raises:
            RunError: the store cannot be written to.
        """
        try:
            return self._create(config, owner, fill)
        except OSError as error:
            raise RunError(
                N_(
                    "A new run cannot be written to {folder}: {reason}. Make room there or make it writable, or set"
                    " LMVIZ_STORE to another folder."
                ),
                folder=str(self.root), reason=error.strerror or str(error),
            ) from error  # fmt: skip

    def _create(self, config: RunConfig, owner: str, fill: Callable[[Path], None] | None) -> Run:
        self.root.mkdir(parents=True, exist_ok=True)
        steps = 1 if config.model.kind == "ngram" else config.training.steps
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.root))
        try:
            write_json(draft / "config.json", config.model_dump(mode="json"))
            Run(draft).write_status(Status(created=now(), steps=steps, owner=owner))
            if fill:
                fill(draft)
            draft.chmod(0o755)
            for _ in range(100):
                path = self.root / f"{config.model.kind}-{secrets.token_hex(3)}"
                if not path.exists():
                    draft.rename(path)
                    return Run(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        raise RunError(N_("No free name for a new run was found in {folder}."), folder=str(self.root))

    def get(self, name: str | Path, *, allow_paths: bool = True) -> Run:
        """A run by its id, or by the path of its folder; `allow_paths=False` for names that come from a browser.

        Raises:
            RunError: there is no such run.
        """
        text = str(name)
        if _RUN_ID.fullmatch(text):
            for root in self._roots():
                if (root / text / "config.json").exists():
                    return Run(root / text, read_only=root == self.samples)
        elif allow_paths and (Path(text) / "config.json").exists():
            path = Path(text).resolve()
            return Run(path, read_only=self.samples is not None and path.parent == self.samples.resolve())
        raise RunError(N_("There is no run {run}. `lmviz runs list` shows the runs there are."), run=text)

    def runs(self) -> list[Run]:
        """Every run that can be read, newest first, the samples last."""
        own = sorted(self._inside(self.root, False), key=lambda run: run.status().created, reverse=True)
        return own + self.sample_runs()

    def sample_runs(self) -> list[Run]:
        return sorted(self._inside(self.samples, True), key=lambda run: run.id) if self.samples else []

    def group(self, name: str) -> list[Run]:
        """The runs of one experiment; those that branched off from it later are not among them."""
        written = json.dumps(name, ensure_ascii=False).encode()
        own, samples = self._inside(self.root, False), self.sample_runs()
        return [
            run
            for run in (*own, *samples)
            if written in (run.path / "config.json").read_bytes()
            and (config := run.config()).group == name
            and config.fork is None
        ]

    def delete(self, run: Run) -> None:
        """Remove the folder.

        Raises:
            RunError: it is a sample, not a run of this store, or it is being trained.
        """
        run.forbid_read_only()
        run.config()  # whatever is not one of our run folders is not ours to delete
        if run.path.parent != self.root:
            raise RunError(
                N_("{run} lies outside the store {folder}; delete it by hand."), run=run.id, folder=str(self.root)
            )
        if run.is_locked():
            raise RunError(N_("The run {run} is being trained. Stop it, then delete it."), run=run.id)
        grave = run.path.with_name(f".deleted-{run.id}")
        run.path.rename(grave)  # gone at once for every reader
        shutil.rmtree(grave, ignore_errors=True)

    def _roots(self) -> Iterator[Path]:
        yield self.root
        if self.samples:
            yield self.samples

    @staticmethod
    def _inside(root: Path, read_only: bool) -> Iterator[Run]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for path in root.iterdir():
                run = Run(path, read_only=read_only)
                if _RUN_ID.fullmatch(path.name) and run.is_readable():
                    yield run
