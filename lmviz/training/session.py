"""One run from its folder to its end: prepare, train, record, finish. Whoever holds the session gives it time.

session = Session(run)
for _ in session.work():     # preparation and every update are one turn each
    ...                      # time for other runs, for wishes: session.set, session.rest
"""

import contextlib
import errno
import time
from collections.abc import Generator, Iterator

import torch

from lmviz.checkpoints import begin_with
from lmviz.errors import N_, ConfigError, DivergenceError, LmvizError, TrainingError
from lmviz.limits import MAX_COUNTED_TOKENS
from lmviz.models import build_model
from lmviz.models.linear import use_product
from lmviz.models.ngram import NgramModel
from lmviz.runs import Run, State, append_line, write_json
from lmviz.training.baselines import share_baselines
from lmviz.training.data import Data
from lmviz.training.made import MadeData
from lmviz.training.product import product_here
from lmviz.training.recorder import Recorder
from lmviz.training.sources import prepare
from lmviz.training.trainer import Step, Trainer, randomness
from lmviz.turns import Turn

STATUS_INTERVAL = 0.25
"""Seconds between two writes of status.json while nothing else happens."""
BASELINES_AFTER = 0.5
"""Seconds of training before the n-grams are counted: the first points come first."""
SAVE_AFTER = 20.0
"""Seconds of the clock without a checkpoint after which the state to go on from is saved all the same."""


class Session:
    """A run being trained in this process. It holds the run's lock from `work` to the end."""

    def __init__(self, run: Run, worker: int = 0) -> None:
        self.run = run
        self.config = run.config()
        self.status = run.status()
        self.status.worker = worker
        self.lock = run.lock()
        self.trainer: Trainer | None = None
        self.recorder: Recorder | None = None
        self.by_hand = False
        """The next updates were asked for one by one: show everything about each."""
        self._written = self._saved = time.monotonic()
        self._pace = Pace()

    def work(self) -> Generator[Turn, None, None]:
        """All of the run, a turn at a time. It ends with the state finished or failed, or when it is closed.

        A turn is IDLE while it can only wait for another process. Once there is a trainer, each turn is one update (or
        the end), and nothing was updated in the turn that made it; only an n-gram model has counted by then.

        Raises:
            filelock.Timeout: somebody else is training this run.
        """
        with self.lock:
            try:
                yield from self._train()
            except GeneratorExit:
                raise
            except LmvizError as error:
                self._fail(error)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    words = N_(
                        "A file could not be written: {reason}. Mend that, then resume; the last checkpoint is kept."
                    )
                    self._fail(TrainingError(words, reason=str(error)))
                    return
                self._fail(TrainingError(N_("The disk is full. Make room, then resume; the last checkpoint is kept.")))
            except MemoryError:
                self._fail(TrainingError(N_("There is not enough memory for this model. Make it smaller.")))

    def set(self, name: str, value: float) -> None:
        """Change a setting of the running training and write it down in events.jsonl.

        Raises:
            ConfigError: unknown setting or impossible value.
        """
        if self.trainer and self.recorder:
            self.trainer.set(name, value)
            append_line(self.run.path / "events.jsonl", {"step": self.trainer.step, "name": name, "value": value})
            self.keep()  # a crash must not bring the old value back

    def keep(self) -> None:
        """Save the state to go on from."""
        if self.recorder and self.trainer:
            self.recorder.save_resume(self.trainer)

    def rest(self, state: State) -> None:
        """Pause or stop: keep everything as it is now."""
        if self.recorder and self.trainer and self.trainer.step:
            if self.recorder.interval and state == "stopped":
                self.recorder.log(self.trainer, evaluated=True)
            self.recorder.checkpoint(self.trainer)
        self.write_status(state)

    def write_status(self, state: State) -> None:
        status = self.status
        status.state = state
        if self.trainer:
            status.step, status.tokens, status.seconds = self.trainer.step, self.trainer.tokens, self.trainer.seconds
            if self.recorder and self.recorder.best.step is not None:
                status.best_step, status.best_loss = self.recorder.best.step, self.recorder.best.loss
            left = (status.steps - status.step) * self._pace.seconds_per_step if state == "running" else None
            status.seconds_left = round(left, 1) if left is not None else None
            status.tokens_per_second = self._pace.tokens_per_second(self.trainer.tokens_per_step)
        self.run.write_status(status)
        self._written = time.monotonic()

    def _train(self) -> Iterator[Turn]:
        self.status.error, self.status.stage, self.status.stopped_early = None, N_("Preparing the text"), False
        self.write_status("running")
        yield None
        data = yield from prepare(self.run, self._show_progress)
        self.status.stage, self.status.stage_progress = N_("Building the model"), None
        self.write_status("running")
        yield None
        generator = torch.Generator().manual_seed(self.config.training.seed)
        with randomness(generator):
            model = build_model(
                self.config.model, data.tokenizer.vocab_size, self.config.training.context_length, **data.sizes
            )
        if self.config.pretrained and not (self.status.step or self.config.fork):  # else it goes on from its own
            begin_with(self.run, model)
        self.status.product = use_product(model, self.status.product or self._first_product())
        self.status.stage = ""
        self._check_signals(list(model.signals))
        self.trainer = Trainer(model, self.config.training, data.source)
        self.recorder = Recorder(self.run, self.config, data, self.status.steps)
        if isinstance(model, NgramModel) and isinstance(data, Data):
            yield from self._count(model, data)
        else:
            yield from self._update(data)
        self.write_status("finished")

    def _first_product(self) -> str:
        """A run that has got on without a word about it was begun when there was no choice."""
        return "torch" if self.status.step else product_here()

    def _show_progress(self, share: float) -> None:
        self.status.stage_progress = round(share, 3)
        if time.monotonic() - self._written > STATUS_INTERVAL:
            self.write_status("running")

    def _check_signals(self, known: list[str]) -> None:
        for name in self.config.recording.signals:
            if name not in known:
                raise ConfigError(
                    N_("The model has no signal {name}. It has {known}."), name=name, known=", ".join(known)
                )

    def _update(self, data: Data | MadeData) -> Iterator[None]:
        trainer, recorder = self.trainer, self.recorder
        assert trainer and recorder
        self.status.parameters = trainer.model.parameter_count()
        if not recorder.restore(trainer):
            recorder.begin(trainer)
        yield None  # the run is ready; from here on a turn is one update, and what was wished comes before the first
        floor_is_known = bool(self.run.baselines())
        while trainer.step < self.status.steps:
            step = trainer.advance()
            recorder.record(trainer, step, always=self.by_hand)
            self._keep_up(trainer, recorder, step)
            yield None
            if recorder.best.exhausted and not self.by_hand:
                self.status.stopped_early = True
                recorder.checkpoint(trainer)
                break
            if not floor_is_known and trainer.seconds > BASELINES_AFTER:
                share_baselines(self.run, self.config, data, recorder.validation)
                floor_is_known = True
        if not floor_is_known:
            share_baselines(self.run, self.config, data, recorder.validation)

    def _count(self, model: NgramModel, data: Data) -> Iterator[None]:
        """An n-gram model learns in one go; it is a run of one step. Of a large text it counts the beginning."""
        trainer, recorder = self.trainer, self.recorder
        assert trainer and recorder
        recorder.forget_after(-1)
        start = time.perf_counter()
        counted = data.train[:MAX_COUNTED_TOKENS]
        model.fit(torch.from_numpy(counted.astype("int64")))
        trainer.step, trainer.tokens, trainer.seconds = 1, len(counted), time.perf_counter() - start
        trainer.tokens_per_step = len(counted)
        if len(counted) < len(data.train):
            write_json(self.run.path / "data.json", {**data.facts(), "counted_tokens": len(counted)})
        self.status.parameters = model.parameter_count()
        train_loss = model.losses_by_order(torch.from_numpy(data.train[:100_000].astype("int64")))[-1]
        recorder.record(trainer, Step(1, trainer.tokens, train_loss, 0.0, 0.0, 0.0, trainer.seconds))
        share_baselines(self.run, self.config, data, recorder.validation)
        yield None

    def _keep_up(self, trainer: Trainer, recorder: Recorder, step: Step) -> None:
        """Status and safety copies that depend on the clock; nothing here touches the training."""
        now = time.monotonic()
        self._pace.tick(now, step.seconds)
        if step.step in recorder.checkpoint_steps:
            self._saved = now
            self.status.crashes = 0  # it got on, so it is not this run that ends its worker
        elif now - self._saved > SAVE_AFTER:
            recorder.save_resume(trainer)
            self._saved = now
        if now - self._written > STATUS_INTERVAL or step.step in recorder.eval_steps:
            self.write_status("paused" if self.by_hand else "running")

    def _fail(self, error: LmvizError) -> None:
        if isinstance(error, DivergenceError) and self.recorder and self.trainer:
            self.recorder.forget_bad(self.trainer.last_good_step)
        self.status.error = error.to_dict()
        with contextlib.suppress(OSError):  # a full disk may refuse even this
            self.write_status("failed")


class Pace:
    """How fast the run goes: on the clock (waiting included) and in its own time."""

    def __init__(self) -> None:
        self.seconds_per_step = 0.0
        self.own_seconds_per_step = 0.0
        self._last: float | None = None

    def tick(self, now: float, own_seconds: float) -> None:
        self.own_seconds_per_step = _smooth(self.own_seconds_per_step, own_seconds)
        if self._last is not None:
            self.seconds_per_step = _smooth(self.seconds_per_step, now - self._last)
        self._last = now

    def tokens_per_second(self, tokens_per_step: int) -> float | None:
        return tokens_per_step / self.own_seconds_per_step if self.own_seconds_per_step else None


def _smooth(old: float, new: float, share: float = 0.02) -> float:
    return new if not old else old + share * (new - old)
