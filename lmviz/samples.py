"""Train the runs in sample_checkpoints/ again: `python -m lmviz.samples [NAME ...]`. Settings and seeds stand here.

They are ordinary run folders, small: a few checkpoints in float16, and no state to go on from. Those of the memory
experiment keep their last weights alone, and a line of metrics a validation; that of Tang poems, whose text is fetched
if it is not here, keeps its last weights as well.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from lmviz.checkpoints import checkpoint_path
from lmviz.config import RunConfig
from lmviz.corpora import FETCHABLE
from lmviz.corpora.fetch import fetch
from lmviz.finetune import WEIGHTS, finetune
from lmviz.memory import UPDATES, VALIDATIONS, cell_of, memory_configs
from lmviz.presets import preset
from lmviz.runs import SAMPLES, Run, Store
from lmviz.training.foreground import train_here

MEMORY_GROUP = "sample-memory"
PAIR_GROUP = "sample-pairs"
REPEAT_GROUP = "sample-repeat"
FINETUNED = "sample-bert-labels"
RECORDING = {"checkpoints": 7, "weights": "float16", "sample_tokens": 160}


def sample_configs() -> dict[str, RunConfig]:
    """Folder name -> how it is trained. The same number of updates, so that curves can be laid over each other."""
    kinds = ("rnn", "nvsi", "gru", "lstm", "gpt")
    configs = {
        f"sample-{kind}": preset(kind, name=_name(kind), training={"steps": 4000}, recording=RECORDING)
        for kind in kinds
    }
    configs["sample-idioms-gru"] = preset(
        "gru", name="GRU, idioms", corpus={"name": "idioms"}, model={"embedding_dim": 24, "hidden_size": 48},
        training={"steps": 3000, "context_length": 20, "learning_rate": 8e-3}, recording=RECORDING | {"checkpoints": 4},
    )  # fmt: skip
    configs["sample-gates-lstm"] = preset(  # windows long enough to hold a comment, a string, a line with its brackets
        "lstm", name="LSTM, Python", corpus={"name": "python"}, training={"steps": 4000, "context_length": 128},
        recording=RECORDING,
    )  # fmt: skip
    configs["sample-tang"] = preset(  # most of its weights are the characters' vectors: 3,504 of them
        "gpt", name="GPT, Tang poems", corpus={"name": "tang-quatrains"},
        model={"d_model": 128, "num_layers": 3, "dropout": 0.1},
        training={
            "steps": 6000, "batch_size": 32, "context_length": 48, "learning_rate": 3e-3, "weight_decay": 0.05,
            "warmup_steps": 100,
        },
        recording=RECORDING | {"checkpoints": 2, "sample_prompt": "\n\n春江潮水連海平\n", "sample_tokens": 26},
    )  # fmt: skip
    configs["sample-code"] = preset(  # byte pairs: twice as much code in a window, and an indentation is one token
        "lstm", name="LSTM, Python in byte pairs", corpus={"name": "python"},
        tokenizer={"kind": "bpe", "vocab_size": 512}, model={"embedding_dim": 48, "hidden_size": 160},
        training={"steps": 8000, "context_length": 128},
        recording=RECORDING | {"checkpoints": 4, "gradients": False, "log_every": 100, "eval_every": 200},
    )  # fmt: skip
    configs["sample-styles"] = preset(  # windows as long as most pieces, so that they see the label
        "gru", name="GRU, two styles", corpus={"name": "python-reference+python"},
        training={"steps": 2500, "context_length": 160, "batch_size": 24},
        recording=RECORDING | {"checkpoints": 3, "sample_prompt": "[python-reference] The "},
    )  # fmt: skip
    return configs | pair_samples() | attention_samples() | memory_samples()


def pair_samples() -> dict[str, RunConfig]:
    """English dates, with and without attention, and by a Transformer."""
    kinds = {"seq2seq": 6, "seq2seq-attention": 14, "transformer": 4}
    return {
        f"sample-dates-{kind}": preset(
            kind, group=PAIR_GROUP if kind != "transformer" else "", recording=RECORDING | {"checkpoints": checkpoints},
            training={"seed": 0},
        )
        for kind, checkpoints in kinds.items()
    }  # fmt: skip


def attention_samples() -> dict[str, RunConfig]:
    """BERT and what it was fine-tuned for; repetition with one layer and with two."""
    configs = {
        "sample-bert": preset("bert", name="BERT", recording=RECORDING | {"checkpoints": 5}),
        "sample-bert-labels": preset(
            "bert", corpus={"name": "code-or-prose"}, recording=RECORDING | {"checkpoints": 2}
        ),
    }
    for layers in (1, 2):
        configs[f"sample-repeat-{layers}"] = preset(
            "gpt",
            name=f"GPT, {layers} layer{'s' * (layers > 1)}",
            group=REPEAT_GROUP,
            corpus={"name": "repeat"},
            model={"num_layers": layers},
            recording=RECORDING | {"checkpoints": 10},
        )
    return configs


def memory_samples() -> dict[str, RunConfig]:
    """The default experiment, and the plain RNN on mixed lags."""
    alone = memory_configs("remember-first", group=MEMORY_GROUP)
    mixed = memory_configs("remember-first", ["rnn"], [200], mixed=True, group=MEMORY_GROUP)
    names = [f"sample-memory-{cell_of(config).replace('+', '-')}-{config.corpus.lag}" for config in alone]
    small = {"weights": "float16", "log_every": UPDATES // VALIDATIONS}
    return {
        name: config.model_copy(update={"recording": config.recording.model_copy(update=small)})
        for name, config in zip([*names, "sample-memory-rnn-mixed"], [*alone, *mixed], strict=True)
    }


def _name(kind: str) -> str:
    return {"nvsi": "NVSI-RNN"}.get(kind, kind.upper())


def train_sample(name: str, config: RunConfig) -> None:
    """Train beside the old folder, then put the new one in its place."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), samples=None)
        if config.corpus.name in FETCHABLE:
            fetch(config.corpus.name)
        run = finetuned(store) if name == FINETUNED else store.create(config)
        train_here(run)
        if run.status().state != "finished":
            raise SystemExit(f"{name}: {run.status().error}")
        strip(run)
        shutil.rmtree(SAMPLES / name, ignore_errors=True)
        shutil.copytree(run.path, SAMPLES / name)


def finetuned(store: Store) -> Run:
    """From the sample beside it, which has to be there already."""
    settings = [f"recording.{key}={value}" for key, value in (RECORDING | {"checkpoints": 2}).items()]
    run = Run(SAMPLES / "sample-bert", read_only=True)
    return finetune(store, run, "code-or-prose", settings, name="BERT, code or prose")


def strip(run: Run) -> None:
    """Leave only what is shown: no state to go on from, no lock, no process id."""
    shutil.rmtree(run.path / "resume", ignore_errors=True)
    (run.path / ".lock").unlink(missing_ok=True)
    (run.path / WEIGHTS).unlink(missing_ok=True)
    if run.config().group == MEMORY_GROUP or run.config().corpus.name == "tang-quatrains":
        for step in run.checkpoint_steps()[:-1]:
            checkpoint_path(run, step).unlink()
    run.write_status(run.status().model_copy(update={"worker": None, "owner": ""}))


def main() -> None:
    wanted = sys.argv[1:] or list(sample_configs())
    for name in wanted:
        train_sample(name, sample_configs()[name])


if __name__ == "__main__":
    main()
