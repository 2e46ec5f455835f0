"""Beam search: of all texts that begin with one of the few most probable beginnings, the most probable ones.

At every step each kept text (beam) is continued by every token. Of these candidates the 2 * num_beams most probable
are considered: one that ends with <end> is finished, if it is among the num_beams best of them, and the num_beams best
of the others go on. A stop string makes of every token that holds it another end, and num_beams more candidates each.
The step by step semantics, with a text's score and the rule that ends the search, are those of
`GenerationMixin._beam_search` of transformers 5, which the tests compare with. One difference: where there are fewer
candidates than places, transformers fills up with texts of probability zero, and here the places stay empty.

Probabilities: the stages (`processors.stages_for`) act on the logarithm of the softmax, as in transformers, and what
they give is added up, not normalised anew. So without penalties the sum is the model's own log-probability of the
text; with them it is what the search maximises, and `own` tells the model's. A repetition penalty multiplies a
log-probability here and a logit in greedy search; with one beam the stages act on the logits, so that it is greedy
search to the letter.

Groups (Vijayakumar et al. 2016) search one after the other at every step; from the log-probability of a token its
`diversity_penalty` is taken for each beam of an earlier group that goes on with it. As in transformers 4, which had
them, what was taken stays in a text's score; as there, a group that has ended takes nothing any more.

Shapes: R texts at once (all groups together), N tokens before, V vocabulary.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lmviz.decoding.config import DecodingConfig
from lmviz.decoding.generate import evaluating, opening
from lmviz.decoding.processors import Stage, stages_for
from lmviz.errors import N_, ConfigError, LmvizError
from lmviz.models.base import LanguageModel
from lmviz.models.decoder import Decoder
from lmviz.tokenizers import END, StreamDecoder, Tokenizer

Fate = Literal["kept", "finished", "pruned"]
"""kept: the text goes on, unless the search ends here; finished: it is done, with <end>, a stop string or at
max_new_tokens; pruned: others were better.
"""


@dataclass(frozen=True)
class Candidate:
    """A beam and one more token."""

    id: int
    """Its number in the search, from 1."""
    parent: int
    """The candidate that it continues; 0 is the prompt."""
    token: int
    text: str
    """Of the token, for people, as `Tokenizer.token_text`."""
    logprob: float
    """Of the token after the stages, nats; without penalties the model's own."""
    own: float
    """Of the token in the model's own softmax."""
    total: float
    """Sum of `logprob` from the prompt to here, less what the diversity penalty took: what candidates are ranked by."""
    rank: int
    """Among the candidates of its group at this step, 0 the best."""
    group: int
    fate: Fate


@dataclass(frozen=True)
class BeamStep:
    """One step: the candidates that were considered, group by group, the best first."""

    number: int
    """From 1."""
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Hypothesis:
    """A finished text."""

    text: str
    """What was written, without the prompt."""
    tokens: tuple[int, ...]
    """With <end> if it came."""
    pieces: tuple[str, ...]
    """What each token adds to the text."""
    logprobs: tuple[float, ...]
    """Of each token after the stages."""
    own: float
    """Sum of the model's own log-probabilities."""
    total: float
    """Sum of `logprobs`, less what the diversity penalty took."""
    score: float
    """total / length ** length_penalty; hypotheses are ranked by it."""
    finished: bool
    """With <end> or a stop string; else max_new_tokens was reached."""
    group: int
    node: int
    """Number of its last candidate."""

    @property
    def logprob(self) -> float:
        """Sum of `logprobs`."""
        return math.fsum(self.logprobs)

    @property
    def length(self) -> int:
        """Tokens, <end> included: what the score divides by."""
        return len(self.tokens)


@dataclass(frozen=True)
class BeamsFound:
    """The end of a search: its best texts, at most num_beams, the best score first."""

    hypotheses: tuple[Hypothesis, ...]


def beam_search(
    model: LanguageModel, tokenizer: Tokenizer, config: DecodingConfig, extra: Sequence[Stage] = ()
) -> Iterator[BeamStep | BeamsFound]:
    """Every step as it is made, then what was found. `config.strategy` is not looked at.

    extra: stages of one's own, after `special`. A Transformer with learned positions writes no more than it has places.

    Raises:
        ConfigError: the prompt has what the tokenizer does not know, or no token holds a stop string. At once.
        LmvizError: the model's logits are not finite, or no token is left to choose from.
    """
    history, decoder = opening(model, tokenizer, config.prompt)
    longest = config.max_new_tokens
    if model.reads_source and model.context_length is not None:
        longest = min(longest, model.context_length)
    return _search(model, decoder, tokenizer, config, history, longest, extra, ends_of(tokenizer, config.stop))


def ends_of(tokenizer: Tokenizer, stop: Sequence[str]) -> frozenset[int]:
    """The tokens that end a text: <end>, and those that hold one of the strings.

    Raises:
        ConfigError: no token holds one of them.
    """
    ends = {END}
    for string in stop:
        wanted = string.encode()
        found = {token for token in range(END + 1, tokenizer.vocab_size) if wanted in tokenizer.token_bytes(token)}
        if not found:
            raise ConfigError(
                N_("Beam search ends a text with one token, and none of this model holds the stop string {string}."
                   " Take a shorter one."),
                string=string,
            )  # fmt: skip
        ends |= found
    return frozenset(ends)


def _search(
    model: LanguageModel, decoder: Callable[[], Decoder], tokenizer: Tokenizer, config: DecodingConfig,
    history: list[int], longest: int, extra: Sequence[Stage], ends: frozenset[int],
) -> Iterator[BeamStep | BeamsFound]:  # fmt: skip
    with evaluating(model):
        search = _Search(decoder(), tokenizer, config, history, longest, extra, ends)
    while not search.done:
        with evaluating(model):
            step = search.advance()
        yield step
    yield BeamsFound(search.found())


class _Beam(NamedTuple):
    """A text that goes on."""

    node: int
    row: int
    """In the batch."""
    token: int
    total: float


class _Ended(NamedTuple):
    node: int
    score: float


class _Group:
    """Beams that compete with each other, and the best texts that they finished."""

    def __init__(self, size: int, config: DecodingConfig) -> None:
        self.size, self.config = size, config
        self.beams = [_Beam(0, 0, -1, 0.0)]
        self.ended: list[_Ended] = []  # best first, at most `size`

    def end(self, node: int, total: float, length: int) -> None:
        self.ended.append(_Ended(node, total / length**self.config.length_penalty))
        self.ended.sort(key=lambda one: -one.score)
        del self.ended[self.size :]

    def close(self, length: int) -> None:
        """Let no beam go on if none could become one of the best: with all places taken, by the rule of transformers
        (the best beam's score as if it ended here), or at once with early_stopping.
        """
        if len(self.ended) < self.size or not self.beams:
            return
        possible = self.beams[0].total / length**self.config.length_penalty
        if self.config.early_stopping or possible <= self.ended[-1].score:
            self.beams = []


class _Search:
    """All groups, one batch."""

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, config: DecodingConfig, history: list[int], longest: int,
        extra: Sequence[Stage], ends: frozenset[int],
    ) -> None:  # fmt: skip
        self.decoder, self.tokenizer, self.config, self.longest = decoder, tokenizer, config, longest
        self.ends = ends
        special, *stages = stages_for(config.model_copy(update={"strategy": "beam"}), len(history), extra)
        self.special, self.stages = special.function, [stage.function for stage in stages]
        size = config.num_beams // config.beam_groups
        self.groups = [_Group(size, config) for _ in range(config.beam_groups)]
        self.past = torch.tensor([history])  # (R, N), kept up only if a stage reads it
        self.nodes: list[Candidate] = []
        self.text = cache(tokenizer.token_text)
        self.length = 0

    @property
    def done(self) -> bool:
        return not any(group.beams for group in self.groups)

    def advance(self) -> BeamStep:
        """One more token for every beam."""
        logits = self._logits().double()  # (R, V); in float64 no two candidates become equal by rounding
        own = logits.log_softmax(1)
        if self.config.num_beams == 1:
            after = self._staged(logits) - logits.logsumexp(1, keepdim=True)
        else:
            after = self._staged(own)
        self.length += 1
        known = len(self.nodes)
        chosen: list[int] = []  # tokens that beams of earlier groups go on with
        for number, group in enumerate(self.groups):
            if group.beams:
                rows = torch.tensor([beam.row for beam in group.beams])
                chosen += self._continue(number, own[rows], after[rows], chosen)
        if self.done and not any(group.ended for group in self.groups):
            raise LmvizError(N_("These settings leave no token to choose from. Lower the penalties."))
        return BeamStep(self.length, tuple(self.nodes[known:]))

    def _logits(self) -> Tensor:
        """Of the next token of every beam, (R, V); of the first one only one row, as all beams are the prompt."""
        if not self.length:
            return self.decoder.prefill(self.past)
        rows, tokens = self._seat()
        if self.stages:
            self.past = torch.cat([self.past[rows], tokens[:, None]], 1)
        self.decoder.reorder(rows)
        return self.decoder.step(tokens)

    def _seat(self) -> tuple[Tensor, Tensor]:
        """Give every beam its row in the next batch; the rows that they come from, and their tokens, by row (R,).

        A beam stays in the row of the one that it continues, unless a better one is there: so few states move.
        """
        beams = [beam for group in self.groups for beam in group.beams]
        free = set(range(len(beams)))
        rows = []
        for beam in beams:
            rows.append(beam.row if beam.row in free else -1)
            free.discard(beam.row)
        rows = [free.pop() if row < 0 else row for row in rows]
        order = sorted(range(len(beams)), key=rows.__getitem__)
        came, tokens = ([beams[i].row for i in order], [beams[i].token for i in order])
        seats = iter(rows)
        for group in self.groups:
            group.beams = [beam._replace(row=next(seats)) for beam in group.beams]
        return torch.tensor(came), torch.tensor(tokens)

    def _staged(self, values: Tensor) -> Tensor:
        """(R, V) after all stages."""
        values = self.special(values, self.past)
        if not self.stages:
            return values
        rows = []
        for row, past in zip(values, self.past, strict=True):
            for stage in self.stages:
                row = stage(row, past)
            rows.append(row)
        return torch.stack(rows)

    def _continue(self, number: int, own: Tensor, after: Tensor, chosen: Sequence[int]) -> list[int]:
        """One more token for a group, given the rows of its beams (r, V); the tokens that go on."""
        group, vocabulary = self.groups[number], own.shape[1]
        scores = after + after.new_tensor([beam.total for beam in group.beams])[:, None]
        if chosen and self.config.diversity_penalty:
            often = torch.tensor(chosen).bincount(minlength=vocabulary).to(scores.dtype)
            scores = scores - self.config.diversity_penalty * often
        totals, places = largest(scores.flatten(), (1 + len(self.ends)) * group.size)
        columns = (values.flatten()[places].tolist() for values in (own, after))
        parents, group.beams = group.beams, []
        tokens: list[int] = []
        for rank, (place, total, own_one, logprob) in enumerate(zip(places, totals, *columns, strict=True)):
            if math.isnan(total):
                raise LmvizError(
                    N_("The model gives no numbers any more: its training diverged. Take an earlier step.")
                )
            if total == -math.inf:
                break  # the others cannot come at all
            row, token = divmod(place, vocabulary)
            goes_on = token not in self.ends and len(tokens) < group.size
            if goes_on:
                tokens.append(token)
            last = self.length == self.longest
            ends = (last or token in self.ends) and rank < group.size
            fate: Fate = "finished" if ends else "kept" if goes_on and not last else "pruned"
            node = Candidate(
                len(self.nodes) + 1, parents[row].node, token, self.text(token), logprob, own_one, total, rank, number,
                fate,
            )  # fmt: skip
            self.nodes.append(node)
            if fate == "finished":
                group.end(node.id, total, self.length)
            elif fate == "kept":
                group.beams.append(_Beam(node.id, parents[row].row, token, total))
        group.close(self.length)
        return tokens

    def found(self) -> tuple[Hypothesis, ...]:
        ended = [one for group in self.groups for one in group.ended]
        return tuple(self._hypothesis(one) for one in sorted(ended, key=lambda one: -one.score))

    def _hypothesis(self, ended: _Ended) -> Hypothesis:
        path: list[Candidate] = []
        place = ended.node
        while place:
            path.append(self.nodes[place - 1])
            place = path[-1].parent
        path.reverse()
        writer = StreamDecoder(self.tokenizer)
        pieces = [writer.feed(node.token) for node in path]
        pieces[-1] += writer.finish()
        last = path[-1]
        return Hypothesis(
            text="".join(pieces), tokens=tuple(node.token for node in path), pieces=tuple(pieces),
            logprobs=tuple(node.logprob for node in path), own=math.fsum(node.own for node in path), total=last.total,
            score=ended.score, finished=last.token in self.ends, group=last.group, node=last.id,
        )  # fmt: skip


def largest(values: Tensor, count: int) -> tuple[list[float], list[int]]:
    """The largest of (n,) numbers and their places, the largest first; of equal ones the first come first. `topk` takes
    any of these, and tokens that a counting model never saw are all equally probable.
    """
    found = values.topk(min(count + 1, len(values)))
    best, places = found.values.tolist(), found.indices.tolist()
    if any(one == after for one, after in itertools.pairwise(best)):
        (among,) = (values >= best[-1]).nonzero(as_tuple=True)
        ordered = values[among].sort(descending=True, stable=True)
        best, places = ordered.values.tolist(), among[ordered.indices].tolist()
    return best[:count], places[:count]
