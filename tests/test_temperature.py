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


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_part_opens(visit: Callable[..., AppTest], places: Path, lang: str) -> None:
    run = train(places, "gru")
    app = visit("generate", run=run.id, part="temperature", prompt="def ", t="0.5", lang=lang)
    assert not app.exception and not app.error
    assert "0.50" in app.subheader[0].value
    app = visit("generate", run=run.id, part="temperature", prompt="漢", t="nonsense", lang=lang)
    assert not app.exception and len(app.error) == 1
