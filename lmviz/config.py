"""What a run is made of: corpus, tokenizer, model, training, recording. Plain values, no torch.

A `RunConfig` says everything that is needed to build the model again and to train it to the same losses. It goes
through JSON unchanged. Every field says its meaning and unit in the line below it; pages and the command line show
those lines. Two settings at odds raise a ConfigError, which pydantic hands through.
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from lmviz.errors import N_, ConfigError
from lmviz.limits import MAX_LAG, MAX_SEED, MAX_STEPS
from lmviz.model_config import (
    PAIR_KINDS,
    BERTConfig,
    GPTConfig,
    GRUConfig,
    Init,
    LSTMConfig,
    ModelConfig,
    NgramConfig,
    NVSIConfig,
    PairRecurrentConfig,
    RecurrentConfig,
    RNNConfig,
    Seq2SeqAttentionConfig,
    Seq2SeqConfig,
    Settings,
    TransformerConfig,
)

__all__ = [
    "LABELLED",
    "MEMORY_TASKS",
    "PAIR_CORPORA",
    "PAIR_KINDS",
    "REPEAT_LAG",
    "TASKS",
    "BERTConfig",
    "CorpusConfig",
    "ForkConfig",
    "GPTConfig",
    "GRUConfig",
    "Init",
    "LSTMConfig",
    "ModelConfig",
    "NVSIConfig",
    "NgramConfig",
    "PairRecurrentConfig",
    "RNNConfig",
    "RecordingConfig",
    "RecurrentConfig",
    "RunConfig",
    "Seq2SeqAttentionConfig",
    "Seq2SeqConfig",
    "Settings",
    "TokenizerConfig",
    "TrainingConfig",
    "TransformerConfig",
]

TASKS = ("remember-first", "copy", "adding", "repeat")
"""Corpora that are no texts but made anew for every batch; lmviz.corpora.tasks says what they are."""
MEMORY_TASKS = TASKS[:3]
"""Those that ask for memory over a lag; `repeat` asks to go on as before."""
REPEAT_LAG = 24
"""Half the letters of a sequence of `repeat`, if nothing else is said."""
PAIR_CORPORA = ("dates-en", "dates-zh", "numbers-en", "numbers-zh", "reverse", "names-en-zh")
"""Pairs of texts that are always there; lmviz.corpora.pairs says what they are."""
LABELLED = ("code-or-prose",)
"""Corpora of short texts with a label each, made of built-in texts; a person's own tables can be such too."""


class CorpusConfig(Settings):
    name: str = "python-reference"
    """Name of a corpus or of a task, or path of a text file, a table, a folder or a zip of texts."""
    column: str | None = None
    """Column of a table (.csv, .tsv, .jsonl) that holds the text; none: `text`, or the one with the most letters."""
    encoding: str | None = None
    """Encoding of a file given by its path, such as gbk; none: found by itself."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the characters, at the end of the text, that is kept for validation."""
    lag: int | None = Field(default=None, ge=1, le=MAX_LAG, examples=[20])
    """Steps between what is to be remembered and the question; a task needs it, a text has none."""
    mixed: bool = False
    """Curriculum of a task: each batch draws its lag anew, up to `lag`, evenly on a logarithmic scale."""

    @model_validator(mode="before")
    @classmethod
    def _usual_period(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("name") == "repeat" and values.get("lag") is None:
            return {**values, "lag": REPEAT_LAG}
        return values

    @model_validator(mode="after")
    def _lag_belongs_to_tasks(self) -> "CorpusConfig":
        if not self.is_task and (self.lag is not None or self.mixed):
            raise ConfigError(
                N_("lag and mixed go with the tasks {tasks}, not with the text {name}. Leave them out."),
                tasks=", ".join(TASKS), name=self.name,
            )  # fmt: skip
        if self.is_task and self.lag is None:
            raise ConfigError(N_("The task {name} needs a lag, such as corpus.lag=20."), name=self.name)
        if self.is_task and (self.column is not None or self.encoding is not None):
            raise ConfigError(
                N_("The task {name} has neither column nor encoding; only files have. Leave them out."), name=self.name
            )
        if self.name == "adding" and self.lag == 1:
            raise ConfigError(N_("adding marks two digits before the question: it needs a lag of 2 or more."))
        if self.name == "repeat" and (self.mixed or (self.lag or 0) < 8):
            raise ConfigError(
                N_("repeat needs room for a passage that comes twice: take a lag of 8 or more, not mixed.")
            )
        return self

    @property
    def is_task(self) -> bool:
        """Whether sequences are made for it; else it is a text."""
        return self.name in TASKS


class TokenizerConfig(Settings):
    kind: Literal["char", "word", "bpe"] = "char"
    """char: every character; word: words and marks, Chinese cut by jieba; bpe: byte pairs (Sennrich et al. 2016)."""
    vocab_size: int = Field(default=1000, ge=260, le=50_000)
    """Tokens that bpe aims at, and the most that word keeps; a char tokenizer takes what the text has."""


class TrainingConfig(Settings):
    steps: int = Field(default=2000, ge=1, le=MAX_STEPS)
    """Updates of the weights."""
    batch_size: int = Field(default=32, ge=1, le=1024)
    """Windows of text in one update."""
    context_length: int = Field(default=64, ge=1, le=1024)
    """Tokens in one window; for GPT also how far back it can look."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Highest learning rate of the schedule."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup_steps: int = Field(default=50, ge=0)
    """Updates in which the learning rate rises from zero; a tenth of the run at most."""
    final_learning_rate: float = Field(default=0.05, ge=0, le=1)
    """Learning rate of the last update, as a share of the highest."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    """Decay of the weight matrices, not of biases and norms: decoupled in adamw, L2 in the gradient in sgd."""
    l1: float = Field(default=0.0, ge=0, le=1)
    """Adds this times the sum of the weight matrices' absolute values to the loss (L1, sparse weights)."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """adamw (Loshchilov and Hutter 2019), or sgd with momentum, which wants a learning rate 10 to 100 times higher."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """SGD's memory of the gradient; not used by adamw."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's memory of the gradient."""
    beta2: float = Field(default=0.99, ge=0, lt=1)
    """AdamW's memory of the squared gradient."""
    clip_norm: float = Field(default=1.0, ge=0)
    """Gradients with a larger norm are scaled down to this norm; 0 switches clipping off."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over all tokens (Szegedy et al. 2016). Logged losses stay without it."""
    batches: Literal["windows", "streams"] = "windows"
    """windows: random places, empty state; streams: reads on, state carried (truncated BPTT; recurrent models)."""
    scheduled_sampling: float = Field(default=0.0, ge=0, le=1)
    """Highest probability of reading an own guess instead of the text (Bengio et al. 2015)."""
    sampling_schedule: Literal["constant", "linear", "sigmoid"] = "linear"
    """How that probability rises from zero over the run; constant: it is there from the start."""
    early_stopping: int | None = Field(default=None, ge=1, examples=[10])
    """Validations in a row without a better loss after which training ends; none: it goes to the last update."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: products of 8-bit mantissas, faster on processors made for it, with other losses (gpt and lstm)."""
    seed: int = Field(default=1, ge=0, lt=MAX_SEED)
    """Decides the initial weights, the order of the data and dropout."""


class RecordingConfig(Settings):
    log_every: int | None = Field(default=None, ge=1)
    """Updates between two lines of metrics.jsonl; none: about 200 lines a run."""
    eval_every: int | None = Field(default=None, ge=1)
    """Updates between two validations, each with a sample of text; none: about 40 a run."""
    eval_tokens: int = Field(default=16_384, ge=1)
    """Validation tokens measured each time, the same ones, spread evenly over the validation text."""
    checkpoints: int = Field(default=24, ge=2, le=200)
    """Weights kept over the run, dense early and sparse late."""
    keep_best: bool = False
    """Keep the weights of the lowest validation loss as well; early stopping does so by itself."""
    forkable: bool = True
    """Keep the optimizer's state with every checkpoint, to fork the run there exactly; three times the disk space."""
    sample_prompt: str | None = None
    """What each sample begins with; none: the first words of the validation text."""
    sample_tokens: int = Field(default=120, ge=0, le=1000)
    """Length of each sample, tokens; 0 writes none."""
    weights: Literal["float32", "float16"] = "float32"
    """Number format of the kept weights; float16 halves the size. A run always goes on from float32."""
    gradients: bool = True
    """Keep gradient norms by time step (recurrent models) and by parameter at about a hundred of the logging steps."""
    signals: tuple[str, ...] = ()
    """Signals kept at every checkpoint on the first validation window, such as gate.forget."""


class ForkConfig(Settings):
    """Where a run branched off from another."""

    run: str
    """Id of the run it came from."""
    step: int = Field(ge=0)
    """Updates that it shares with that run."""


class RunConfig(Settings):
    """Everything that decides a run."""

    schema_version: Literal[1] = 1
    name: str = Field(default="", max_length=120)
    """A label for people; never a path."""
    group: str = Field(default="", max_length=120)
    """A label that the runs of one experiment share; never a path."""
    corpus: CorpusConfig = CorpusConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = LSTMConfig()
    training: TrainingConfig = TrainingConfig()
    recording: RecordingConfig = RecordingConfig()
    fork: ForkConfig | None = None
    pretrained: ForkConfig | None = None
    """The run whose weights and tokenizer it begins with (fine-tuning), and their step."""

    @property
    def reads_pairs(self) -> bool:
        """Whether it learns to turn a source into a target."""
        return self.model.kind in PAIR_KINDS

    @property
    def learns_labels(self) -> bool:
        """Whether it learns to tell classes of text."""
        return self.model.kind == "bert" and (self.corpus.name in LABELLED or self.pretrained is not None)

    @property
    def has_text(self) -> bool:
        """Whether it learns from one running text: no task, no pairs, no labels."""
        return not (self.corpus.is_task or self.reads_pairs or self.learns_labels)

    @property
    def writes_text(self) -> bool:
        """Whether it learns to go on with a running text."""
        return self.has_text and self.model.kind != "bert"

    @model_validator(mode="after")
    def _training_fits_model(self) -> "RunConfig":
        kind, training = self.model.kind, self.training
        recurrent = isinstance(self.model, RecurrentConfig)
        if training.batches == "streams" and not recurrent:
            raise ConfigError(N_("batches=streams carries a state, and {kind} has none. Take windows."), kind=kind)
        if training.scheduled_sampling and kind in ("ngram", "bert"):
            raise ConfigError(
                N_("scheduled_sampling works with models that write one token after the other, not {kind}."),
                kind=kind,
            )
        if training.precision == "bfloat16" and kind not in ("gpt", "lstm"):
            raise ConfigError(N_("precision=bfloat16 works with gpt and lstm, not with {kind}."), kind=kind)
        return self

    @model_validator(mode="after")
    def _pairs_go_together(self) -> "RunConfig":
        if self.reads_pairs and (self.corpus.is_task or self.corpus.name in LABELLED):
            raise ConfigError(
                N_("{kind} turns a source into a target and needs pairs, such as dates-en or a table of two columns."),
                kind=self.model.kind,
            )
        if self.corpus.name in PAIR_CORPORA and not self.reads_pairs:
            raise ConfigError(
                N_("{name} are pairs of a source and a target. Take one of the models {kinds}."),
                name=self.corpus.name, kinds=", ".join(PAIR_KINDS),
            )  # fmt: skip
        if self.corpus.name in LABELLED and self.model.kind != "bert":
            raise ConfigError(N_("{name} has labels, which bert learns. Take model kind bert."), name=self.corpus.name)
        if self.model.kind == "bert" and self.corpus.is_task:
            raise ConfigError(N_("bert learns from texts, not from the task {name}."), name=self.corpus.name)
        if self.pretrained and self.model.kind != "bert":
            raise ConfigError(N_("Only bert can begin with the weights of another run."))
        return self

    @model_validator(mode="after")
    def _task_is_read_as_it_is(self) -> "RunConfig":
        """Every sequence of a task is read whole, from an empty state, in its own tokens."""
        name, training = self.corpus.name, self.training
        if not self.corpus.is_task:
            return self
        if self.model.kind == "ngram":
            raise ConfigError(N_("An n-gram model looks back {order} tokens at most and cannot learn the task {name}."
                                 " Take another kind of model."), order=self.model.order - 1, name=name)  # fmt: skip
        if training.batches == "streams" or training.scheduled_sampling:
            setting = "batches=streams" if training.batches == "streams" else "scheduled_sampling"
            raise ConfigError(N_("{setting} works with texts, not with the task {name}."), setting=setting, name=name)
        if self.tokenizer.kind != "char":
            raise ConfigError(N_("The task {name} has its own tokens. Take tokenizer.kind=char."), name=name)
        return self

    def flat(self) -> dict[str, Any]:
        """All settings as `section.field`, in order: for tables, differences and `--set`."""
        rows: dict[str, Any] = {}
        for section, value in self.model_dump(mode="json").items():
            if isinstance(value, dict):
                rows.update({f"{section}.{field}": v for field, v in value.items()})
            else:
                rows[section] = value
        return rows
