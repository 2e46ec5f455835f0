"""What a configuration learns from: a running text, or data that is made for it. The one place that decides."""

from lmviz.config import RunConfig
from lmviz.corpora import LargeCorpus
from lmviz.costs import check_pairs, check_task, check_tokens
from lmviz.runs import Run, write_json
from lmviz.tokenizers import Tokenizer
from lmviz.training.data import Data, check_fingerprint, load_data, open_corpus
from lmviz.training.label_data import LabelData
from lmviz.training.made import MadeData
from lmviz.training.masked_data import MaskedData
from lmviz.training.pair_data import PairData
from lmviz.training.token_files import FINGERPRINTED
from lmviz.turns import Show, Turns, finish, ignore


def open_data(config: RunConfig, show: Show = ignore, tokenizer: Tokenizer | None = None) -> Turns[Data | MadeData]:
    """Turns that return it. tokenizer: of the run that a fine-tuning begins with.

    Raises:
        CorpusError: it is missing, or not of the kind that the model needs.
    """
    if config.reads_pairs:
        return PairData.of(config)
    if config.learns_labels:
        return LabelData(config, tokenizer)
    data = yield from load_data(config.corpus, config.tokenizer, show)
    if config.model.kind == "bert" and isinstance(data, Data):
        check_length(data, config)
        return MaskedData(data, config)
    return data


def prepare(run: Run, show: Show = ignore) -> Turns[Data | MadeData]:
    """Turns that return the run's data. The first time writes tokenizer.json and data.json, then checks them.

    Raises:
        CorpusError: the text is missing or too short for the context.
        RunError: the text is not the one the run began with.
    """
    config = run.config()
    known = run.data()
    tokenizer = Tokenizer.load(run.path / "tokenizer.json") if config.pretrained else None
    if config.has_text and isinstance(corpus := open_corpus(config.corpus), LargeCorpus):
        fingerprint = yield from corpus.fingerprinting(lambda share: show(FINGERPRINTED * share))
        check_fingerprint(run, fingerprint)
    data = yield from open_data(config, show, tokenizer)
    check_fingerprint(run, data.fingerprint)
    check_length(data, config)
    if not known:
        save_tokenizer(run, data.tokenizer)
        write_json(run.path / "data.json", data.facts())
    return data


def save_tokenizer(run: Run, tokenizer: Tokenizer) -> None:
    """tokenizer.json; for pairs that is the source's, and target_tokenizer.json stands beside it."""
    if tokenizer.source is None:
        tokenizer.save(run.path / "tokenizer.json")
        return
    tokenizer.save(run.path / "target_tokenizer.json")
    tokenizer.source.save(run.path / "tokenizer.json")


def check_text(config: RunConfig) -> None:
    """What can be said before there is a run: a text is long enough. A large one is not read for it.

    Raises:
        CorpusError: the text is missing or too short for the context.
        ConfigError: the context is too short for the task.
    """
    if config.has_text and isinstance(open_corpus(config.corpus), LargeCorpus):
        return
    check_length(finish(open_data(config)), config)


def check_length(data: Data | MadeData, config: RunConfig) -> None:
    """Raises CorpusError unless a window fits into the training part and one prediction into the validation part, and
    ConfigError unless the model's window holds a task's sequences, or the places of a Transformer its pairs.
    """
    if isinstance(data, PairData):
        check_pairs(config, *data.lengths)
    elif isinstance(data, Data):
        check_tokens(len(data.train), len(data.validation), config)
    elif config.corpus.is_task:
        check_task(config)
