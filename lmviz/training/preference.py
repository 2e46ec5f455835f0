"""Learning from preferences: a copy of a model is moved towards texts that were preferred, on a leash.

DPO: Rafailov et al. 2023, equation 7. REINFORCE: Williams 1992, with the mean reward of the other texts of the batch as
baseline (leave one out; Kool et al. 2019), so that the gradient is unbiased. The policy is the model's own distribution
without <unk> and <begin>, which are no text.

Shapes: B texts, T tokens of the longest, V vocabulary.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmviz.models.base import LanguageModel
from lmviz.tokenizers import BEGIN, END, UNK
from lmviz.training.optimizer import AdamW

NEVER = -1e9
"""Logit of what never comes: its probability is 0, and 0 times its logarithm is 0."""
CLIP = 1.0


@dataclass(frozen=True)
class Continuations:
    """Texts that go on with one prompt."""

    inputs: Tensor  # (B, P + T - 1) int64: the prompt, <begin> first, and what was written but its last token
    targets: Tensor  # (B, T) int64
    mask: Tensor  # (B, T) bool: True for the tokens of the text, False for what pads it

    @classmethod
    def of(cls, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> "Continuations":
        """prompt: tokens, <begin> first. texts: tokens of each, one at the least."""
        longest = max(map(len, texts))
        targets = torch.tensor([[*text, *[END] * (longest - len(text))] for text in texts])
        mask = torch.tensor([[place < len(text) for place in range(longest)] for text in texts])
        before = torch.tensor(list(prompt)).expand(len(texts), -1)
        return cls(torch.cat([before, targets[:, :-1]], 1), targets, mask)


@dataclass(frozen=True)
class Update:
    """What one step of learning measured, before it changed the weights."""

    loss: float
    grad_norm: float
    kl: float
    """KL(policy || reference), nats a text: at every place of the texts at hand exactly, over the whole vocabulary,
    summed over places and averaged over texts.
    """
    reward: float | None = None
    """REINFORCE: mean of the batch."""
    margin: float | None = None
    """DPO: mean of beta * (log-ratio of the better text - that of the worse)."""
    accuracy: float | None = None
    """DPO: share of the pairs with a margin above 0."""


def log_policy(model: LanguageModel, batch: Continuations) -> Tensor:
    """Logarithms of the next token's probabilities at every place of the texts, (B, T, V)."""
    logits: Tensor = model(batch.inputs)[:, -batch.targets.shape[1] :]
    return logits.index_fill(2, torch.tensor([UNK, BEGIN]), NEVER).log_softmax(2)


def text_logprobs(log_probs: Tensor, batch: Continuations) -> Tensor:
    """(B, T, V) -> log-probability of every token of the texts (B, T), 0 where they are padded."""
    return log_probs.gather(2, batch.targets[:, :, None])[:, :, 0].where(batch.mask, 0.0)


def place_kl(log_probs: Tensor, reference: Tensor, batch: Continuations) -> Tensor:
    """KL(policy || reference) at every place, nats, (B, T), 0 where padded."""
    return (log_probs.exp() * (log_probs - reference)).sum(2).where(batch.mask, 0.0)


def dpo_loss(better: Tensor, worse: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Log-ratios log pi(y|x) - log ref(y|x) of the better and the worse texts (B,) -> loss, margins (B,)."""
    margins = beta * (better - worse)
    return -F.logsigmoid(margins).mean(), margins


def reinforce_loss(
    log_probs: Tensor, reference: Tensor, batch: Continuations, rewards: Tensor, beta: float, *,
    baseline: bool = True,
) -> Tensor:  # fmt: skip
    """A scalar whose gradient is, on average over texts drawn from the policy, that of -(E[reward] - beta * KL).

    rewards: (B,). The KL of a text depends on which text was drawn as well as on the policy at each place, so a token
    answers for the KL of all places after it, too.
    """
    kl = place_kl(log_probs, reference, batch)  # (B, T)
    later = kl.detach().flip(1).cumsum(1).flip(1) - kl.detach()
    value = rewards[:, None] - beta * later  # (B, T)
    if baseline and len(rewards) > 1:
        total = (rewards.sum() - rewards) / (len(rewards) - 1)
        value = value - total[:, None]
    chosen = text_logprobs(log_probs, batch)
    return (beta * kl - value * chosen).sum(1).mean()


class PreferenceLearner:
    """A copy of a model that learns; the model itself stays the reference and is not changed."""

    def __init__(self, model: LanguageModel, prompt: Sequence[int], beta: float, learning_rate: float) -> None:
        self.reference, self.prompt, self.beta, self.learning_rate = model, list(prompt), beta, learning_rate
        self.policy: LanguageModel = deepcopy(model).eval()  # no dropout: the leash compares like with like
        self.policy.requires_grad_(True)
        self.optimizer = AdamW(self.policy, (0.9, 0.99), weight_decay=0.0)

    def from_pairs(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Update:
        """A step of DPO on (better, worse) texts."""
        batch = Continuations.of(self.prompt, [text for pair in pairs for text in pair])
        log_probs, reference = self._both(batch)
        ratios = (text_logprobs(log_probs, batch) - text_logprobs(reference, batch)).sum(1)  # (2 B,)
        loss, margins = dpo_loss(ratios[0::2], ratios[1::2], self.beta)
        kl = float(place_kl(log_probs.detach(), reference, batch).sum(1).mean())
        norm = self._step(loss)
        return Update(
            float(loss.detach()), norm, kl, margin=float(margins.detach().mean()),
            accuracy=float((margins.detach() > 0).double().mean()),
        )  # fmt: skip

    def from_rewards(self, texts: Sequence[Sequence[int]], rewards: Sequence[float]) -> Update:
        """A step of REINFORCE on texts that the policy has just written."""
        batch = Continuations.of(self.prompt, texts)
        log_probs, reference = self._both(batch)
        earned = torch.tensor(rewards, dtype=log_probs.dtype)
        loss = reinforce_loss(log_probs, reference, batch, earned, self.beta)
        kl = float(place_kl(log_probs.detach(), reference, batch).sum(1).mean())
        norm = self._step(loss)
        return Update(float(loss.detach()), norm, kl, reward=float(earned.mean()))

    def unchanged(self, texts: Sequence[Sequence[int]]) -> Update:
        """No step: only how far the copy is by now, on these texts."""
        batch = Continuations.of(self.prompt, texts)
        with torch.no_grad():
            log_probs, reference = self._both(batch)
        return Update(0.0, 0.0, float(place_kl(log_probs, reference, batch).sum(1).mean()), margin=0.0, accuracy=0.0)

    def _both(self, batch: Continuations) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            reference = log_policy(self.reference, batch)
        return log_policy(self.policy, batch), reference

    def _step(self, loss: Tensor) -> float:
        self.policy.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in self.policy.parameters():
            if parameter.grad is None:  # places of a text that is shorter than the context
                parameter.grad = torch.zeros_like(parameter)
        norm = float(nn.utils.clip_grad_norm_(self.policy.parameters(), CLIP))
        self.optimizer.step(self.learning_rate)
        return norm
