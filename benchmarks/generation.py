"""Tokens a second of `lmviz.decoding.generate.generate`, its records included, beside what others write: ratios.

    python benchmarks/generation.py [--rounds 7] [--only gpt|recurrent|beam]

GPT: transformers' GPT2LMHeadModel.generate with its cache, on the same weights; before anything is timed, both have to
write the same 120 greedy tokens. Recurrent models: embedding, torch.nn's module on one token, output layer, softmax and
multinomial, again on the same weights (NVSI, which torch.nn does not have, beside a GRU). Beam search: transformers'
with as many beams on the same weights, after both have found the same text; tokens of the best text a second. All in
one process and one thread, in turn; processor time, so that others on the machine count little; medians over the
rounds. Needs transformers, which is a dependency of the tests only (`pip install -e '.[test]'`). Exit status 1 if a
budget is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from lmviz.config import GPTConfig, GRUConfig, LSTMConfig, ModelConfig, NVSIConfig, RNNConfig, TokenizerConfig
from lmviz.decoding.beam import BeamsFound, beam_search
from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import generate
from lmviz.models import build_model
from lmviz.models.base import LanguageModel
from lmviz.models.gpt import GPT
from lmviz.models.recurrent import RecurrentModel
from lmviz.tokenizers import BEGIN, END, UNK, Tokenizer, train_tokenizer

TOKENS = 120
CONTEXT = 128
CHARACTERS = 62  # and three special tokens: a vocabulary of 65
BUDGETS = {"gpt 4x128": 3.5, "lstm 128": 3.0}
TORCH = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM, "nvsi": nn.GRU}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["gpt", "recurrent", "beam"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    tokenizer = train_tokenizer(TokenizerConfig(), ["".join(chr(ord("0") + i) for i in range(CHARACTERS))])
    held: list[bool] = []
    if arguments.only in (None, "gpt"):
        for layers, width in ((4, 128), (2, 64)):
            ours = make(GPTConfig(d_model=width, num_layers=layers), tokenizer)
            theirs = transformers_way(ours, tokenizer)
            held.append(compare(f"gpt {layers}x{width}", sampling(ours, tokenizer), theirs, arguments.rounds))
    if arguments.only in (None, "beam"):
        for beams in (4, 8):
            model = make(GPTConfig(d_model=128, num_layers=4), tokenizer)
            ways = beams_of_both(model, tokenizer, beams)
            held.append(compare(f"beams {beams}", *ways, arguments.rounds))
    if arguments.only in (None, "recurrent"):
        for config in (RNNConfig, NVSIConfig, GRUConfig, LSTMConfig):
            for size in (64, 128, 256):
                model = make(config(hidden_size=size), tokenizer)
                name = f"{model_kind(config)} {size}"
                theirs = module_way(model, model_kind(config))
                held.append(compare(name, sampling(model, tokenizer), theirs, arguments.rounds))
    return 0 if all(held) else 1


def model_kind(config: type) -> str:
    return config.model_fields["kind"].default  # type: ignore[attr-defined, no-any-return]


def make(config: ModelConfig, tokenizer: Tokenizer) -> LanguageModel:
    """With weights large enough that its choices are no coin tosses, and <end> too unlikely to cut texts short."""
    torch.manual_seed(1)
    model = build_model(config, tokenizer.vocab_size, CONTEXT).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
        if isinstance(model, RecurrentModel):
            model.head.bias[END] = -30.0
        elif isinstance(model, GPT):
            model.embedding.weight[END] = 0.0
    return model


def compare(name: str, ours: Callable[[], int], theirs: Callable[[], int], rounds: int) -> bool:
    """Print both in tokens a second and their ratio; return whether the budget holds, if it has one."""
    rates: list[tuple[float, float]] = []
    for round_number in range(rounds + 1):
        row = []
        for way in (ours, theirs):
            start, count = time.process_time(), way()
            row.append(count / (time.process_time() - start))
        if round_number:  # the first one only warms up
            rates.append((row[0], row[1]))
    mine, other = (statistics.median(column) for column in zip(*rates, strict=True))
    ratio = statistics.median(a / b for a, b in rates)
    budget = BUDGETS.get(name)
    holds = budget is None or ratio >= budget
    verdict = f"   budget {budget}: {'holds' if holds else 'missed'}" if budget else ""
    print(
        f"{name:10} lmviz {mine:7,.0f} tokens/s   other {other:7,.0f} tokens/s   ratio {ratio:5.2f}{verdict}",
        flush=True,
    )
    return holds


def sampling(model: LanguageModel, tokenizer: Tokenizer) -> Callable[[], int]:
    """Ours, with another seed each time."""
    seeds = iter(range(10_000))

    def write() -> int:
        """Tokens written; a text that ends early is followed by another."""
        count, seed = 0, next(seeds)
        while count < TOKENS:
            config = DecodingConfig(max_new_tokens=TOKENS - count, seed=seed + 10_000 * count)
            count += sum(1 for _ in generate(model, tokenizer, config))
        return count

    return write


def beams_of_both(
    model: LanguageModel, tokenizer: Tokenizer, beams: int
) -> tuple[Callable[[], int], Callable[[], int]]:
    """Beam search, ours and transformers', checked against each other."""
    assert isinstance(model, GPT)
    theirs, begin = gpt2_of(model), torch.tensor([[BEGIN]])
    config = DecodingConfig(strategy="beam", num_beams=beams, max_new_tokens=TOKENS)

    def mine() -> tuple[int, ...]:
        *_, found = beam_search(model, tokenizer, config)
        assert isinstance(found, BeamsFound)
        return found.hypotheses[0].tokens

    def other() -> list[int]:
        return theirs.generate(
            begin, do_sample=False, num_beams=beams, max_new_tokens=TOKENS, use_cache=True, pad_token_id=UNK,
            eos_token_id=END, suppress_tokens=[UNK, BEGIN], attention_mask=torch.ones_like(begin),
        )[0, 1:].tolist()  # fmt: skip

    assert list(mine()) == other(), "other tokens"
    return lambda: len(mine()), lambda: len(other())


def transformers_way(model: LanguageModel, tokenizer: Tokenizer) -> Callable[[], int]:
    """GPT-2 with the same weights, checked."""
    assert isinstance(model, GPT)
    theirs = gpt2_of(model)
    begin = torch.tensor([[BEGIN]])
    fixed = {
        "max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "use_cache": True, "pad_token_id": END,
        "suppress_tokens": [UNK, BEGIN], "attention_mask": torch.ones_like(begin),
    }  # fmt: skip
    greedy = theirs.generate(begin, do_sample=False, **{**fixed, "min_new_tokens": None, "eos_token_id": END})
    config = DecodingConfig(strategy="greedy", max_new_tokens=TOKENS)
    assert [token.id for token in generate(model, tokenizer, config)] == greedy[0, 1:].tolist(), "other tokens"

    def write() -> int:
        return theirs.generate(begin, do_sample=True, top_k=0, **fixed).shape[1] - 1

    return write


def gpt2_of(model: GPT) -> GPT2LMHeadModel:
    """transformers' GPT-2 with the weights of ours. Its linear layers keep their matrices transposed."""
    width, first = model.embedding.weight.shape[1], model.layers[0]
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=model.vocab_size, n_positions=model.context_length, n_embd=width, n_layer=len(model.layers),
            n_head=first.attention.num_heads, activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=BEGIN, eos_token_id=None,
        )
    ).eval()  # fmt: skip
    names = {
        "transformer.wte.weight": model.embedding.weight, "lm_head.weight": model.embedding.weight,
        "transformer.wpe.weight": model.position_table, **norm("transformer.ln_f", model.norm),
    }  # fmt: skip
    for i, block in enumerate(model.layers):
        at = f"transformer.h.{i}"
        names |= norm(f"{at}.ln_1", block.attention_norm) | norm(f"{at}.ln_2", block.mlp_norm)
        for name, layer in (
            ("attn.c_attn", block.attention.qkv), ("attn.c_proj", block.attention.projection),
            ("mlp.c_fc", block.mlp[0]), ("mlp.c_proj", block.mlp[2]),
        ):  # fmt: skip
            names |= {f"{at}.{name}.weight": layer.weight.t(), f"{at}.{name}.bias": layer.bias}
    theirs.load_state_dict(names)
    return theirs


def norm(name: str, module: nn.LayerNorm) -> dict[str, torch.Tensor]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}


def module_way(model: LanguageModel, kind: str) -> Callable[[], int]:
    """torch.nn's module with the same weights where it has one, one token at a time."""
    assert isinstance(model, RecurrentModel)
    cell = model.layers[0]
    module = TORCH[kind](cell.input_size, cell.hidden_size, batch_first=True).eval()
    if kind != "nvsi":
        module.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    embedding, head = model.embedding, nn.Linear(cell.hidden_size, model.vocab_size)
    head.load_state_dict(model.head.state_dict())
    generator = torch.Generator().manual_seed(1)

    @torch.inference_mode()
    def write() -> int:
        token, state, written = torch.tensor([[BEGIN]]), None, []
        for _ in range(TOKENS):
            x, state = module(embedding(token), state)
            token = head(x[:, -1]).softmax(-1).multinomial(1, generator=generator)  # (1, 1)
            written.append(token.item())
        return len(written)

    return write


if __name__ == "__main__":
    sys.exit(main())
