"""What a configuration costs before anything is built, the limits on it, and whether its text will do. No torch."""

from lmviz.config import (
    BERTConfig,
    GPTConfig,
    NgramConfig,
    PairRecurrentConfig,
    RecurrentConfig,
    RunConfig,
    TransformerConfig,
)
from lmviz.corpora.tasks import longest, mean_length
from lmviz.errors import N_, ConfigError, CorpusError
from lmviz.limits import MAX_ACTIVATIONS, MAX_PARAMETERS, MAX_STEP_OPERATIONS

USUAL_PAIR = 32
"""Tokens of a source or target, about. What a table really has is checked when it is read (check_pairs)."""


def check_costs(config: RunConfig, vocab_size: int) -> None:
    """Raises ConfigError, naming the limit, for a model or a batch that this server does not train."""
    model, training = config.model, config.training
    if isinstance(model, NgramConfig):
        return
    parameters = model.parameter_count(vocab_size, training.context_length) or 0
    if parameters > MAX_PARAMETERS:
        raise ConfigError(
            N_("The model has {count:,} parameters; {limit:,} are allowed. Make it narrower or give it fewer layers."),
            count=parameters, limit=MAX_PARAMETERS,
        )  # fmt: skip
    tokens = training.batch_size * _window(config)
    if 6 * parameters * tokens > MAX_STEP_OPERATIONS or tokens * _kept(config, vocab_size) > MAX_ACTIVATIONS:
        raise ConfigError(
            N_(
                "One update of this model on {tokens:,} tokens is too large. Take a smaller batch_size or"
                " context_length, or a smaller model."
            ),
            tokens=tokens,
        )


def check_task(config: RunConfig) -> None:
    """Raises ConfigError if a GPT cannot look at a whole sequence of its task; recurrent models have no such limit."""
    context, needed = config.training.context_length, longest(config.corpus)
    if isinstance(config.model, GPTConfig) and context < needed:
        raise ConfigError(
            N_(
                "Sequences of {task} have {needed} tokens here, and the model looks at {context}."
                " Set training.context_length={needed}."
            ),
            task=config.corpus.name, needed=needed, context=context,
        )  # fmt: skip


def _window(config: RunConfig) -> int:
    """Tokens that an update reads of each sequence, at most; of pairs those of a usual target."""
    if config.corpus.is_task:
        return longest(config.corpus)
    return USUAL_PAIR if config.reads_pairs else config.training.context_length


def _pair_width(config: RunConfig) -> int:
    """Numbers kept for each token of a source that a token of its target looks at."""
    if isinstance(config.model, TransformerConfig):
        return 3 * config.model.num_layers * config.model.num_heads
    return getattr(config.model, "hidden_size", 1) if config.model.kind == "seq2seq-attention" else 1


def check_pairs(config: RunConfig, source: int, target: int) -> None:
    """What can be told from the lengths of the longest pairs.

    Raises:
        ConfigError: a Transformer has learned places and too few of them, or a batch of such pairs is too large.
    """
    context, tokens = config.training.context_length, max(source, target)
    batch, width = config.training.batch_size, _pair_width(config)
    if batch * target * source * width > 4 * MAX_ACTIVATIONS:
        raise ConfigError(
            N_("A batch of {batch} of these pairs is too large: they have up to {source} and {target} tokens. Take a"
               " smaller batch_size."),
            batch=batch, source=source, target=target,
        )  # fmt: skip
    if isinstance(config.model, TransformerConfig) and config.model.position == "learned" and context < tokens:
        raise ConfigError(
            N_("Pairs of {corpus} have up to {needed} tokens, and the model has {context} places."
               " Set training.context_length={needed}."),
            corpus=config.corpus.name, needed=tokens, context=context,
        )  # fmt: skip


def window_tokens(config: RunConfig) -> float:
    """Tokens that an update reads of each sequence; on average, where a task mixes lags."""
    return mean_length(config.corpus) if config.corpus.is_task else config.training.context_length


def check_tokens(train: int, validation: int, config: RunConfig) -> None:
    """What can be told from the numbers of tokens of a text.

    Raises:
        CorpusError: no window fits into the training tokens, or no prediction into the validation tokens.
        ConfigError: too many streams for the text.
    """
    context = config.training.context_length
    if config.training.batches == "streams":
        check_streams(train, config.training.batch_size, context)
    if train <= context or validation < 2:
        raise CorpusError(
            N_(
                "The text {corpus} is too short: it has {tokens} training tokens, and the context length is {context}."
                " Take a longer text or a shorter context."
            ),
            corpus=config.corpus.name, tokens=train, context=context,
        )  # fmt: skip


def check_streams(tokens: int, streams: int, context: int) -> None:
    """Raises ConfigError if the training tokens do not give every stream a window."""
    if (tokens - 1) // streams < context:
        raise ConfigError(
            N_(
                "{streams} streams with windows of {context} tokens need {needed} training tokens; this text has"
                " {tokens}. Take a smaller batch_size or context_length."
            ),
            streams=streams, context=context, needed=streams * context + 1, tokens=tokens,
        )  # fmt: skip


def _kept(config: RunConfig, vocab_size: int) -> int:
    """Numbers kept a token: what every layer remembers for its backward pass, and the logits twice."""
    model, head = config.model, 2 * vocab_size
    if isinstance(model, GPTConfig | BERTConfig | TransformerConfig):
        return head + model.num_layers * (16 * model.d_model + model.num_heads * config.training.context_length)
    if isinstance(model, PairRecurrentConfig):
        return head + 2 * model.embedding_dim + 12 * model.hidden_size + USUAL_PAIR * model.hidden_size
    assert isinstance(model, RecurrentConfig)
    return head + model.embedding_dim + model.num_layers * model.hidden_size * (model.gates + 3)
