"""The pool with real processes: wishes, faults, fairness, questions."""

import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from test_training import losses, small_config
from texts import prose

from lmviz.config import RunConfig
from lmviz.errors import CorpusError, LmvizError
from lmviz.jobs import questions
from lmviz.jobs.answerer import Answerer
from lmviz.jobs.inline import InlineJobs
from lmviz.jobs.pool import MAX_CRASHES, LocalPool
from lmviz.jobs.wire import connect, pair
from lmviz.jobs.worker import Worker
from lmviz.runs import Run, Store
from lmviz.training import sources
from lmviz.turns import IDLE

FOREVER = 1_000_000


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    """Until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "prose.txt"
    path.write_text(prose(), encoding="utf-8")
    return path


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[LocalPool]:
    pool = LocalPool(Store(tmp_path / "runs", samples=None), workers=1)
    yield pool
    pool.close()


def begin(pool: LocalPool, config: RunConfig, owner: str = "") -> Run:
    run = pool.store.create(config, owner)
    pool.start(run.id, owner)
    return run


def reached(run: Run, step: int) -> Callable[[], bool]:
    return lambda: run.status().step >= step


def state_is(run: Run, state: str) -> Callable[[], bool]:
    return lambda: run.status().state == state


def test_pause_step_resume_stop(pool: LocalPool, text_file: Path) -> None:
    run = begin(pool, small_config("lstm", text_file, steps=FOREVER))
    wait(reached(run, 20))
    pool.pause(run.id)
    wait(state_is(run, "paused"))
    at = run.status().step
    assert run.resume_step() == at
    pool.step(run.id)
    wait(reached(run, at + 1))
    assert run.status().step == at + 1 and run.status().state == "paused"
    assert run.metrics()[-1]["step"] == at + 1 and run.metrics()[-1]["val_loss"] is not None
    pool.set(run.id, "learning_rate", 1e-4)
    pool.start(run.id)
    wait(reached(run, at + 50))
    pool.stop(run.id)
    wait(state_is(run, "stopped"))
    assert run.checkpoint_steps()[-1] == run.status().step
    assert run.events() == [{"step": at + 1, "name": "learning_rate", "value": 1e-4}]
    wait(lambda: not run.is_locked())


def test_a_killed_worker_is_replaced_and_its_runs_give_the_same_losses(pool: LocalPool, text_file: Path) -> None:
    config = small_config("gru", text_file, steps=600, recording={"log_every": 50, "eval_every": 200})
    undisturbed = begin(pool, config)
    wait(state_is(undisturbed, "finished"))
    run = begin(pool, config)
    wait(reached(run, 150))
    os.kill(run.status().worker, signal.SIGKILL)
    wait(lambda: run.status().crashes == 1)
    wait(state_is(run, "finished"))
    assert losses(run) == losses(undisturbed)


def test_a_run_that_kills_its_worker_again_and_again_is_given_up(pool: LocalPool, text_file: Path) -> None:
    run = begin(pool, small_config("rnn", text_file, steps=FOREVER))
    for crash in range(MAX_CRASHES):
        wait(
            lambda crash=crash: run.status().crashes == crash and run.status().state == "running" and run.status().step
        )
        worker = run.status().worker
        os.kill(worker, signal.SIGKILL)
        wait(lambda worker=worker: run.status().worker != worker or run.status().state == "failed")
    wait(state_is(run, "failed"))
    assert "3 times" in run.status().error["message"]
    other = begin(pool, small_config("rnn", text_file))
    wait(state_is(other, "finished"))


def test_a_new_pool_goes_on_with_what_the_old_one_left(tmp_path: Path, text_file: Path) -> None:
    store = Store(tmp_path / "runs", samples=None)
    first = LocalPool(store, workers=1)
    running, paused = (begin(first, small_config("rnn", text_file, steps=FOREVER)) for _ in range(2))
    wait(reached(running, 30))
    wait(reached(paused, 30))
    first.pause(paused.id)
    wait(state_is(paused, "paused"))
    first.close()
    assert running.status().state == "running" and not running.is_locked()
    left_at, paused_at = running.status().step, paused.status().step
    second = LocalPool(store, workers=1)
    try:
        wait(reached(running, left_at + 20))
        assert paused.status().step == paused_at and paused.status().state == "paused"
        second.start(paused.id)
        wait(reached(paused, paused_at + 20))
    finally:
        second.close()


def test_one_step_of_a_run_that_rests_in_its_folder_is_one_update(tmp_path: Path, text_file: Path) -> None:
    """Of one that was never begun, and of one that an earlier server left paused; a new rate counts from then on."""
    store = Store(tmp_path / "runs", samples=None)
    config = small_config("lstm", text_file, steps=FOREVER, recording={"log_every": 1})
    fresh, paused = store.create(config), store.create(config)
    for run in (fresh, paused):
        run.write_status(run.status().model_copy(update={"state": "paused"}))
    with closing(LocalPool(store, workers=1)) as pool:
        pool.step(fresh.id)
        wait(reached(fresh, 1))
        assert fresh.status().step == 1 and fresh.status().state == "paused"
        pool.start(paused.id)
        wait(reached(paused, 12))
        pool.pause(paused.id)
        wait(state_is(paused, "paused"))
    at = paused.status().step
    with closing(LocalPool(store, workers=1)) as pool:
        pool.set(paused.id, "learning_rate", 0.0)
        wait(paused.events)
        pool.step(paused.id)
        wait(reached(paused, at + 1))
        assert paused.status().step == at + 1 and paused.status().state == "paused"
    assert paused.events() == [{"step": at, "name": "learning_rate", "value": 0.0}]
    assert [line["learning_rate"] for line in paused.metrics()[-2:]] == [pytest.approx(5e-3, rel=0.5), 0.0]


def test_inline_one_step_is_one_update(tmp_path: Path, text_file: Path) -> None:
    jobs = InlineJobs(Store(tmp_path / "runs", samples=None))
    for kind, state in (("gru", "paused"), ("ngram", "finished")):  # counting is one step, and the last
        run = jobs.store.create(small_config(kind, text_file))
        jobs.step(run.id)
        assert run.status().step == 1 and run.status().state == state and not run.is_locked()
    run = jobs.store.create(small_config("gru", text_file))
    for step in (1, 2, 3):
        jobs.step(run.id)
        assert run.status().step == step


class HereWorker(Worker):
    """A worker in this process, a slice at a time; it hears only what `obey` is told."""

    def __init__(self, store: Store) -> None:
        self.pool_end, theirs = pair()
        super().__init__(connect(theirs.detach()), store)

    def slices(self, count: int) -> None:
        for _ in range(count):
            if run_id := self.turns.next():
                self.slice(run_id)

    def rest(self, run: Run, each: Callable[[], None] = lambda: None) -> int:
        """Slices until all that was wished of a paused run is done."""
        for count in range(5000):
            if run.id in self.jobs and not self.jobs[run.id].wants_turns:
                return count
            self.slices(1)
            each()
        raise AssertionError("it never rested")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HereWorker:
    """Texts of a kilobyte are large, and read in tiny pieces; a slice is a single turn."""
    monkeypatch.setenv("LMVIZ_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("lmviz.corpora.store.LARGE_TEXT_BYTES", 1000)
    monkeypatch.setattr("lmviz.corpora.large.PIECE_BYTES", 50)
    monkeypatch.setattr("lmviz.jobs.worker.time", SimpleNamespace(perf_counter=itertools.count().__next__))
    monkeypatch.setattr("lmviz.jobs.worker.SLICE", 1.5)
    return HereWorker(Store(tmp_path / "runs", samples=None))


def resting(worker: Worker, text_file: Path) -> Run:
    run = worker.store.create(small_config("rnn", text_file, steps=FOREVER))
    run.write_status(run.status().model_copy(update={"state": "paused"}))
    return run


@pytest.mark.parametrize(
    ("wish", "step"), [({"do": "step", "owner": ""}, 1), ({"do": "set", "name": "clip_norm", "value": 2.0}, 0)]
)
def test_a_wish_for_a_run_with_a_large_text_lets_others_train(
    wish: dict, step: int, here: HereWorker, text_file: Path, tmp_path: Path
) -> None:
    other_text = tmp_path / "other.txt"
    other_text.write_text(prose(900, seed=3))  # not large
    other, run = here.store.create(small_config("rnn", other_text, steps=FOREVER)), resting(here, text_file)
    here.obey({"do": "start", "run": other.id, "owner": ""})
    here.slices(10)
    here.obey({**wish, "run": run.id})
    assert not here.jobs[run.id].ready, "nothing was prepared before others had their turn"
    trainer = here.jobs[other.id].session.trainer
    assert trainer
    before = trainer.step
    slices = here.rest(run)
    assert slices > 100 and trainer.step - before >= slices // 2 - 1
    assert (run.status().step, run.status().state) == (step, "paused")
    here.slices(10)
    assert run.status().step == step
    assert len(run.events()) == 1 - step


def test_a_wish_for_a_run_whose_text_another_is_preparing_waits_for_it(here: HereWorker, text_file: Path) -> None:
    """Both in one worker: the tokens are made once."""
    first, second = (resting(here, text_file) for _ in range(2))
    here.obey({"do": "start", "run": first.id, "owner": ""})
    here.slices(30)
    here.obey({"do": "set", "run": second.id, "name": "clip_norm", "value": 2.0})
    here.obey({"do": "step", "run": second.id, "owner": ""})
    tokens = Path(os.environ["LMVIZ_DATA"]) / ".tokens"

    def made_once() -> None:
        assert len(list(tokens.iterdir())) == 1

    here.rest(second, made_once)
    assert (second.status().step, second.status().state) == (1, "paused")
    assert [event["step"] for event in second.events()] == [0]
    assert first.status().step > 0


def test_a_pause_takes_back_a_step_that_waits_and_no_setting(here: HereWorker, text_file: Path) -> None:
    run = resting(here, text_file)
    here.obey({"do": "step", "run": run.id, "owner": ""})
    here.slices(5)
    here.obey({"do": "pause", "run": run.id})
    assert here.turns.next() is None and run.status().state == "paused"
    here.obey({"do": "set", "run": run.id, "name": "clip_norm", "value": 2.0})
    here.obey({"do": "pause", "run": run.id})
    here.rest(run)
    assert run.status().step == 0 and run.status().state == "paused" and len(run.events()) == 1


def test_a_setting_that_cannot_be_is_refused_and_the_worker_lives(
    here: HereWorker, text_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = resting(here, text_file)
    here.obey({"do": "set", "run": run.id, "name": "batch_size", "value": 2.0})
    here.obey({"do": "step", "run": run.id, "owner": ""})
    here.rest(run)
    assert run.status().step == 1 and not run.events()
    assert "cannot be changed" in capfd.readouterr().err


def test_a_server_that_ends_leaves_a_paused_run_paused_while_a_wish_waits(here: HereWorker, text_file: Path) -> None:
    run = resting(here, text_file)
    here.obey({"do": "step", "run": run.id, "owner": ""})
    here.slices(5)
    assert run.status().state == "running" and run.status().stage
    here.pool_end.close()
    here.loop()
    assert run.status().state == "paused"


def test_turns_go_by_person_first(pool: LocalPool, text_file: Path) -> None:
    """One person with three runs and one with a single run: the single run gets about half of the worker."""
    config = small_config("rnn", text_file, steps=FOREVER)
    many = [begin(pool, config, "many") for _ in range(3)]
    one = begin(pool, config, "one")
    wait(lambda: all(run.status().step > 0 for run in [*many, one]))
    start = [run.status().step for run in [*many, one]]
    wait(reached(one, start[-1] + 1000))
    *shares, single = [run.status().step - before for run, before in zip([*many, one], start, strict=True)]
    assert all(share > 0 for share in shares)
    assert single > 1.8 * max(shares)


def test_questions(pool: LocalPool, text_file: Path) -> None:
    run = begin(pool, small_config("lstm", text_file))
    wait(state_is(run, "finished"))
    pieces = list(pool.ask("generate", run=run.id, prompt="The ", max_new_tokens=30, seed=3))
    again = list(pool.ask("generate", run=run.id, prompt="The ", max_new_tokens=30, seed=3))
    tokens = [token["id"] for piece in pieces for token in piece["tokens"]]
    assert tokens == [token["id"] for piece in again for token in piece["tokens"]] and tokens
    (result,) = pool.ask("score", run=run.id, text="The cat sat.")
    assert result["perplexity"] > 1
    (estimate,) = pool.ask("estimate", config=run.config().model_dump(mode="json"), vocab_size=30)
    assert estimate["seconds_per_step"] > 0
    with pytest.raises(LmvizError, match="no run"):
        list(pool.ask("generate", run="lstm-000000"))
    with pytest.raises(LmvizError, match="never read"):
        list(pool.ask("generate", run=run.id, prompt="漢"))


def test_a_question_that_is_given_up_stops_costing(pool: LocalPool, text_file: Path) -> None:
    run = begin(pool, small_config("lstm", text_file))
    wait(state_is(run, "finished"))
    answer = pool.ask("generate", run=run.id, prompt="The ", max_new_tokens=2000)
    next(answer)
    answer.close()
    (result,) = pool.ask("score", run=run.id, text="The cat")
    assert result["tokens"]
    assert not pool.pending


def test_a_killed_answerer_is_replaced_and_says_so(pool: LocalPool, text_file: Path) -> None:
    run = begin(pool, small_config("lstm", text_file))
    wait(state_is(run, "finished"))
    answer = pool.ask("generate", run=run.id, prompt="The ", max_new_tokens=10_000, temperature=0.01)
    next(answer)
    assert pool.answerer.process
    os.kill(pool.answerer.process.pid, signal.SIGKILL)
    with pytest.raises(LmvizError, match="ask again"):
        list(answer)
    assert list(pool.ask("score", run=run.id, text="The cat"))


class Line:
    """A connection to an answerer in this process: notes for how long it listened, and what it said."""

    def __init__(self, *messages: dict) -> None:
        self.messages = [json.dumps(message).encode() for message in messages]
        self.listened: list[float | None] = []
        self.said: list[dict] = []

    def poll(self, seconds: float | None) -> bool:
        self.listened.append(seconds)
        return bool(self.messages) or seconds is None

    def recv_bytes(self) -> bytes:
        if not self.messages:
            raise EOFError
        return self.messages.pop(0)

    def send_bytes(self, message: bytes) -> None:
        self.said.append(json.loads(message))


def test_an_answer_that_waits_holds_up_no_other(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one can only wait for its text, another is answered at full speed; then it listens for a moment a time."""

    def waiting_for_its_text(*_: object) -> Iterator[str]:
        yield from [IDLE] * 30
        raise CorpusError("gone")

    def count(_: Store) -> Iterator[dict]:
        yield from ({"number": number} for number in range(20))

    monkeypatch.setattr(sources, "load_data", waiting_for_its_text)
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it slept"))
    monkeypatch.setitem(questions.QUESTIONS, "count", count)
    config = small_config("gru", text_file).model_dump(mode="json")
    line = Line(
        {"do": "ask", "id": "a", "owner": "one", "question": "learning_rates", "arguments": {"config": config}},
        {"do": "ask", "id": "b", "owner": "two", "question": "count", "arguments": {}},
    )
    Answerer(line, Store(tmp_path, samples=None)).loop()  # type: ignore[arg-type]
    assert [message["piece"]["number"] for message in line.said if message.get("id") == "b" and "piece" in message] == [
        *range(20)
    ]
    assert [message["error"]["message"] for message in line.said if "error" in message] == ["gone"]
    first = line.listened.index(questions.PIECE_SECONDS)
    assert first > 40 and not any(line.listened[2:first])
    assert len(line.listened) - first >= 9 and set(line.listened[first:-1]) == {questions.PIECE_SECONDS}
    assert line.listened[-1] is None


def test_closing_the_pool_leaves_no_process(tmp_path: Path) -> None:
    pool = LocalPool(Store(tmp_path, samples=None), workers=2)
    wait(pool.answerer.ready.is_set)
    children = [process.process.pid for process in (*pool.workers, pool.answerer)]
    pool.close()
    assert not any(psutil.pid_exists(pid) for pid in children)
