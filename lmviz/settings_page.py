"""docs/settings.md, made from the configuration itself: `python -m lmviz.settings_page > docs/settings.md`."""

import sys
from typing import get_args

from pydantic import BaseModel

from lmviz.config import CorpusConfig, ModelConfig, RecordingConfig, TokenizerConfig, TrainingConfig

HEAD = """# Settings

Give them as `--set section.field=value` to `lmviz train`, or as `field=value` where only one section has the field.
This page is made by `python -m lmviz.settings_page`.
"""


def settings_page() -> str:
    """Every section as a table: field, default, meaning."""
    parts = [HEAD]
    sections: dict[str, type[BaseModel]] = {
        "corpus": CorpusConfig,
        "tokenizer": TokenizerConfig,
        "training": TrainingConfig,
        "recording": RecordingConfig,
    }
    for kind in get_args(get_args(ModelConfig)[0]):
        sections[f"model, kind {kind.model_fields['kind'].default}"] = kind
    for title, section in sections.items():
        rows = [
            f"| `{name}` | {field.default} | {field.description} |"
            for name, field in section.model_fields.items()
            if name != "kind" or section is TokenizerConfig
        ]
        parts.append("\n".join([f"## {title}\n", "| field | default | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
