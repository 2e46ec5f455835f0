"""Generate: let a trained model write, from any moment of its training."""

import streamlit as st

from lmviz.errors import LmvizError
from lmviz.summary import perplexity_words
from lmviz.ui import cache
from lmviz.ui.decoding_controls import decoding_controls
from lmviz.ui.errors import show_error
from lmviz.ui.i18n import _
from lmviz.ui.run_picker import checkpoint_slider, run_picker
from lmviz.ui.shell import begin
from lmviz.ui.tokens import token_html

begin(_("Generate"), _("What does a model write, and how sure is it of every token?"))

cache.jobs()
left, right = st.columns([2, 3], gap="large")
with left:
    run = run_picker()
    if run is None:
        st.stop()
    step = checkpoint_slider(run)
    decoding = decoding_controls(run)
    pressed = st.button(_("Write"), type="primary", icon=":material/edit_note:", key="write", width="stretch")

with right:
    place = st.empty()
    facts = st.empty()
    key = f"written_{run.id}"
    if pressed:
        tokens: list[dict] = []
        last: dict = {}
        try:
            for piece in cache.ask("generate", run=run.id, step=step, **decoding):
                tokens += piece["tokens"]
                last = piece
                place.html(token_html(decoding["prompt"], tokens, writing=True))
            st.session_state[key] = (decoding, tokens, last)
        except LmvizError as error:
            show_error(error)
            st.stop()
    if key not in st.session_state:
        sample = run.samples()
        place.info(_("Press Write, and the text appears here as it is made."))
        if sample:
            facts.caption(_("What it wrote at the end of its training:"))
            st.code(sample[-1]["prompt"] + sample[-1]["text"], language=None, wrap_lines=True)
        st.stop()
    asked, tokens, last = st.session_state[key]
    place.html(token_html(asked["prompt"], tokens, writing=False))
    mean = -sum(token["logprob"] for token in tokens) / max(1, len(tokens))
    facts.caption(
        _("{count} tokens after step {step} · {speed} tokens/s · perplexity of its own text {perplexity}").format(
            count=len(tokens),
            step=f"{last['step']:,}",
            speed=f"{last['tokens_per_second'] or 0:,.0f}",
            perplexity=perplexity_words(mean, 2),
        )
    )
    st.caption(
        _("Shade: how unsure the model was, 1 − its probability of the token. Point at a token for its alternatives.")
    )
    st.download_button(
        _("Download the text"), asked["prompt"] + "".join(token["piece"] for token in tokens), f"{run.id}.txt",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
