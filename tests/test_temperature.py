"""The next token at every temperature, by the definition."""
# ruff: noqa: F811  (fixtures of another module)

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from test_gates_page import train
from test_pages import places, visit  # noqa: F401
from transformers.generation import logits_process as hf

from lmviz.inspect.temperatures import SHARE, TEMPERATURES, sweep
from lmviz.jobs.questions import QUESTIONS
from lmviz.packing import unpack
from lmviz.runs import Store


def test_every_row_is_what_transformers_makes_of_the_logits() -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(1)) * 3
    logits[4] = -torch.inf
    found = sweep(logits)
    best = logits.argsort(descending=True)[:20]
    assert found.tokens == best.tolist() and found.chances.shape == (len(TEMPERATURES), 20)
    for place, value in enumerate(TEMPERATURES.tolist()):
        theirs = hf.TemperatureLogitsWarper(value)(None, logits[None])[0].double().softmax(0)  # type: ignore[arg-type]
        assert np.allclose(found.chances[place], theirs[best], atol=1e-6)
        assert found.entropy[place] == pytest.approx(-float(torch.xlogy(theirs, theirs).sum()), abs=1e-5)
        ordered = sorted(theirs.tolist(), reverse=True)
        needed = next(n for n in range(1, 51) if sum(ordered[:n]) >= SHARE - 1e-9)
        assert found.needed[place] == needed
    assert found.chances[0][0] > 0.99 and (np.diff(found.entropy) > 0).all()


def test_at_one_it_is_the_model(places: Path) -> None:
    run = train(places, "gru")
    *_, answer = QUESTIONS["temperatures"](Store(places / "runs"), run.id, prompt="def ")
    *_, step = QUESTIONS["step"](Store(places / "runs"), run.id, tokens=[], prompt="def ", temperature=1.0)
    row = unpack(answer["chances"])[answer["temperatures"].index(1.0)]
    own = dict(zip(step["texts"], unpack(step["probabilities"])[:, -1].tolist(), strict=True))
    for token, chance in zip(answer["tokens"], row.tolist(), strict=True):
        assert own.get(token, chance) == pytest.approx(chance, abs=1e-6)
    assert len(own.keys() & set(answer["tokens"])) >= 15


def test_towards_nothing_it_is_greedy_and_the_rest_is_outside(places: Path) -> None:
    run = train(places, "gru")
    *_, answer = QUESTIONS["temperatures"](Store(places / "runs"), run.id, prompt="def f")
    *_, written = QUESTIONS["generate"](Store(places / "runs"), run.id, prompt="def f", strategy="greedy")
    assert answer["tokens"][0] == written["tokens"][0]["text"]
    logits = torch.randn(40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cold, hot = (sweep(logits, np.array([value]), named=5) for value in (1e-3, 1e6))
    assert cold.tokens[0] == int(logits.argmax()) and cold.chances[0, 0] == 1 and cold.entropy[0] < 1e-9
    assert cold.needed[0] == 1 and cold.outside[0] < 1e-12
    assert hot.entropy[0] == pytest.approx(np.log(40)) and hot.needed[0] == 36
    assert hot.outside[0] == pytest.approx(35 / 40, abs=1e-5)
    found = sweep(logits)
    assert np.allclose(found.chances.sum(1) + found.outside, 1, atol=1e-6)
    assert sweep(logits[:7]).outside.max() == 0  # all are named


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_part_opens(visit: Callable[..., AppTest], places: Path, lang: str) -> None:
    run = train(places, "gru")
    app = visit("generate", run=run.id, part="temperature", prompt="def ", t="0.5", lang=lang)
    assert not app.exception and not app.error
    assert "0.50" in app.subheader[0].value
    app = visit("generate", run=run.id, part="temperature", prompt="漢", t="nonsense", lang=lang)
    assert not app.exception and len(app.error) == 1
