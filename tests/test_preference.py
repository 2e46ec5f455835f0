"""Learning from preferences against the formulas of the papers, by enumeration and by autograd."""
# ruff: noqa: F811  (fixtures of another module)

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_decoding import Bigram
from test_gates_page import train
from test_pages import places, visit  # noqa: F401

from lmviz.errors import ConfigError
from lmviz.inspect.rewards import RULES
from lmviz.jobs.of_run import model_of
from lmviz.jobs.questions import QUESTIONS
from lmviz.runs import Run, Store
from lmviz.tokenizers import BEGIN, END
from lmviz.training.preference import (
    Continuations,
    PreferenceLearner,
    dpo_loss,
    log_policy,
    place_kl,
    reinforce_loss,
    text_logprobs,
)  # fmt: skip

VOCABULARY = 5


def table(seed: int) -> Bigram:
    generator = torch.Generator().manual_seed(seed)
    return Bigram(torch.randn(VOCABULARY, VOCABULARY, generator=generator, dtype=torch.float64)).eval()


def all_texts(length: int) -> list[tuple[int, ...]]:
    """Every text that can be written: <end> comes last, or the length is reached."""
    found = []
    for n in range(1, length + 1):
        for text in itertools.product([END, 3, 4], repeat=n):
            if END not in text[:-1] and (text[-1] == END or n == length):
                found.append(text)
    return found


def test_probabilities_of_all_texts_add_up_and_padding_counts_nothing() -> None:
    model = table(1)
    batch = Continuations.of([BEGIN, 3], all_texts(3))
    logprobs = text_logprobs(log_policy(model, batch), batch).sum(1).detach()
    assert float(logprobs.exp().sum()) == pytest.approx(1)
    one = Continuations.of([BEGIN, 3], [(4, 3)])
    row = model.table.detach()[:, 2:].log_softmax(1)  # <unk> and <begin> never come
    assert float(text_logprobs(log_policy(model, one), one).sum().detach()) == pytest.approx(
        float(row[3, 2] + row[4, 1])
    )


def test_dpo_is_the_formula_of_the_paper() -> None:
    better, worse = torch.tensor([0.3, -1.0]), torch.tensor([0.1, 0.4])
    loss, margins = dpo_loss(better, worse, 0.2)
    assert margins.tolist() == pytest.approx([0.04, -0.28])
    assert float(loss) == pytest.approx(sum(math.log(1 + math.exp(-m)) for m in (0.04, -0.28)) / 2)


def test_dpo_begins_at_ln_2_and_widens_the_margin() -> None:
    model = table(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner = PreferenceLearner(model, [BEGIN], 0.5, 0.05)
    pairs = [((3, 3), (4, 4)), ((3, END), (4, END))]
    updates = [learner.from_pairs(pairs) for _ in range(30)]
    assert updates[0].loss == pytest.approx(math.log(2)) and updates[0].kl == pytest.approx(0, abs=1e-12)
    assert updates[0].accuracy == 0 and updates[-1].accuracy == 1 and (updates[-1].margin or 0) > 1
    assert updates[-1].kl > 0.1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("beta", [0.0, 0.3])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_reinforce_has_the_exact_gradient_on_average(length: int, beta: float) -> None:
    """Weighted by their probabilities, the gradients of all texts add up to that of E[reward] - beta * KL."""
    policy, reference = table(3), table(4)
    texts = all_texts(length)
    rewards = torch.tensor([text.count(3) / len(text) for text in texts], dtype=torch.float64)
    batch = Continuations.of([BEGIN, 4], texts)
    logprobs = text_logprobs(log_policy(policy, batch), batch).sum(1)
    before = text_logprobs(log_policy(reference, batch), batch).sum(1).detach()
    exact = (logprobs.exp() * (rewards - beta * (logprobs - before))).sum()
    wanted = torch.autograd.grad(-exact, policy.table)[0]
    found = torch.zeros_like(wanted)
    for text, reward, chance in zip(texts, rewards, logprobs.detach().exp(), strict=True):
        one = Continuations.of([BEGIN, 4], [text])
        with torch.no_grad():
            old = log_policy(reference, one)
        loss = reinforce_loss(log_policy(policy, one), old, one, reward[None], beta)
        found += chance * torch.autograd.grad(loss, policy.table)[0]
    assert torch.allclose(found, wanted, atol=1e-10)


def test_the_baseline_of_the_others_changes_no_gradient_on_average() -> None:
    policy, reference = table(5), table(6)
    texts = all_texts(2)
    chances = [float(c) for c in _chances(policy, texts)]
    found = [torch.zeros_like(policy.table), torch.zeros_like(policy.table)]
    for a, b in itertools.product(range(len(texts)), repeat=2):
        batch = Continuations.of([BEGIN], [texts[a], texts[b]])
        rewards = torch.tensor([texts[a].count(3), texts[b].count(3)], dtype=torch.float64)
        with torch.no_grad():
            old = log_policy(reference, batch)
        for place, baseline in enumerate((True, False)):
            loss = reinforce_loss(log_policy(policy, batch), old, batch, rewards, 0.1, baseline=baseline)
            found[place] += chances[a] * chances[b] * torch.autograd.grad(loss, policy.table)[0]
    assert torch.allclose(found[0], found[1], atol=1e-10)


def _chances(model: Bigram, texts: list[tuple[int, ...]]) -> Any:
    batch = Continuations.of([BEGIN], texts)
    return text_logprobs(log_policy(model, batch), batch).sum(1).detach().exp()


def test_kl_of_places_is_that_of_torch() -> None:
    policy, reference = table(7), table(8)
    batch = Continuations.of([BEGIN], [(3, 4), (4, END)])
    own, old = log_policy(policy, batch), log_policy(reference, batch)
    theirs = torch.nn.functional.kl_div(old, own, reduction="none", log_target=True).sum(2)
    assert torch.allclose(place_kl(own, old, batch), theirs)


@pytest.mark.parametrize(
    ("rule", "prompt", "text", "reward"),
    [
        ("letters", "", "eels", 0.5), ("letters", "", "", 0), ("varied", "", "abab", 2 / 3), ("varied", "", "a", 0),
        ("short_lines", "", "a\nb\n", 1), ("short_lines", "", "abcd", 0.25), ("short_lines", "", "", 0),
        ("rhymes", "the cat\n", "a mat\nthe dog", 0.5), ("rhymes", "", "one line", 0),
        ("rhymes", "", "春江潮水連海平\n海上明月共潮生", 1), ("rhymes", "", "平\n月", 0),
        ("parses", "def f():\n", "    return 1\n", 1), ("parses", "", "x = (\n", 0), ("parses", "", "\0\n", 0),
        ("parses", "", "(" * 5000 + "\n", 0), ("parses", "", "", 0),
        ("parses", "import os\n", "xx ((", 0), ("parses", "import os\n", "", 0),
    ],
)  # fmt: skip
def test_rules(rule: str, prompt: str, text: str, reward: float) -> None:
    assert RULES[rule][1](prompt, text, "e") == pytest.approx(reward)


@pytest.fixture
def gru(places: Path) -> Run:
    return train(places, "gru")


def ask(places: Path, run: Run, **how: Any) -> list[dict[str, Any]]:
    small = {"prompt": "def ", "length": 8, "updates": 6, "learning_rate": 3e-3, "seed": 1}
    return list(QUESTIONS["preference"](Store(places / "runs"), run.id, **small | how))


@pytest.mark.parametrize("method", ["reinforce", "dpo"])
def test_a_rule_is_learned_and_the_model_is_left_alone(places: Path, gru: Run, method: str) -> None:
    store = Store(places / "runs")
    model, _, _ = model_of(store, gru.id, None)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pieces = ask(
        places, gru, method=method, rule="letters", letters="a", updates=25, beta=0.0 if method != "dpo" else 0.1
    )
    rewards = [piece["update"]["reward"] for piece in pieces if "update" in piece]
    assert len(rewards) == 25 and sum(rewards[-3:]) > sum(rewards[:3])
    assert pieces[-1]["before"][0]["text"] != pieces[-1]["after"][0]["text"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()) and not model.training


def test_the_same_question_has_the_same_answer_and_is_kept_as_a_run(places: Path, gru: Run) -> None:
    how = {"method": "reinforce", "rule": "letters", "letters": "a", "beta": 0.01}
    first, second = ask(places, gru, **how)[-1], ask(places, gru, **how, keep="a copy")[-1]
    assert first["after"] == second["after"] and first["kept"] is None
    kept = Store(places / "runs").get(second["kept"])
    assert kept.config().name == "a copy" and kept.status().state == "finished"
    *_, texts = QUESTIONS["preference_texts"](
        Store(places / "runs"), kept.id, prompt="def ", seeds=[2**31 - 1000], length=8
    )  # fmt: skip
    assert texts["texts"][0]["text"] == first["after"][0]["text"]


def test_where_all_score_alike_dpo_learns_nothing(places: Path, gru: Run) -> None:
    pieces = ask(places, gru, method="dpo", rule="letters", letters="", updates=5)
    assert [piece["update"]["kl"] for piece in pieces if "update" in piece] == [0.0] * 5
    assert pieces[-1]["before"] == pieces[-1]["after"]


def test_a_persons_choices_are_learned(places: Path, gru: Run) -> None:
    *_, answer = QUESTIONS["preference_texts"](
        Store(places / "runs"), gru.id, prompt="def ", seeds=[0, 1, 2, 3], length=8
    )  # fmt: skip
    texts = [text["tokens"] for text in answer["texts"]]
    pieces = ask(places, gru, method="dpo", pairs=[texts[:2], texts[2:]], beta=0.1, updates=20)
    updates = [piece["update"] for piece in pieces if "update" in piece]
    assert updates[-1]["accuracy"] == 1 and updates[-1]["margin"] > updates[0]["margin"] == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"method": "reinforce", "rule": "best"}, "There is no rule best"),
        ({"method": "reinforce", "pairs": [[[3], [4]]]}, "learned by DPO"),
        ({"method": "dpo", "pairs": [[[], [4]]]}, "Choose again"),
        ({"method": "dpo", "rule": "varied", "updates": 201}, "Up to 200 updates"),
        ({"method": "dpo", "rule": "varied", "prompt": "漢"}, "never read this"),
        ({"method": "dpo", "rule": "varied", "prompt": "def " * 60}, "longer than the 208 tokens"),
    ],
)
def test_what_cannot_be_is_a_sentence(places: Path, gru: Run, how: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ask(places, gru, **how)


def test_the_part_learns_and_keeps(visit: Callable[..., AppTest], gru: Run) -> None:
    app = visit(
        "generate", run=gru.id, part="preference", prompt="def ", letters="a", length="20", updates="10"
    )  # fmt: skip
    assert not app.exception
    app.button(key="preference_learn").click().run()
    assert not app.exception and not app.error
    assert any(one.proto.body for one in app.markdown if "Before" in one.value)
    app.button(key="preference_keep").click().run()
    assert not app.exception and "Kept as gru" in app.success[0].value


def test_the_part_takes_choices_and_gives_one_back(visit: Callable[..., AppTest], gru: Run) -> None:
    app = visit("generate", run=gru.id, part="preference", who="person", prompt="def ", length="20", updates="10")
    assert app.button(key="preference_learn").disabled
    for name in "ABAB":
        app.button(key=f"preference_{name}").click().run()
    app.button(key="preference_undo").click().run()
    assert len(app.session_state["preference_pairs"]) == 3 and not app.exception
    app.button(key="preference_learn").click().run()
    assert not app.exception and not app.error
