"""Settings given as text (`model.hidden_size=128`), checked, with a sentence for each way they can be wrong."""

import difflib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from lmviz.config import RunConfig
from lmviz.errors import N_, ConfigError

TEXTS = ("corpus.name", "corpus.column", "recording.sample_prompt")
"""Fields whose value is text even if it looks like a number."""


def apply_settings(config: RunConfig, settings: Iterable[str]) -> RunConfig:
    """`config` with `section.field=value` (or `field=value`, where only one section has it) put on top.

    Values are JSON where they can be (128, 0.1, true, null), else text.

    Raises:
        ConfigError: no `=`, an unknown field, or a value that the field cannot take.
    """
    values = config.model_dump(mode="json")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(N_("{setting} is not a setting. Write it as section.field=value."), setting=setting)
        section, _, field = full_key(config, key.strip()).partition(".")
        if field:
            values[section][field] = text.strip() if f"{section}.{field}" in TEXTS else _value(text.strip())
        else:
            values[section] = text.strip()
    return validated(values)


def validated(values: dict[str, Any]) -> RunConfig:
    """A RunConfig from plain values.

    Raises:
        ConfigError: the first thing that is wrong, in one sentence.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        sections = [str(part) for part in first["loc"]]
        if len(sections) > 2 and sections[0] == "model":
            sections = ["model", *sections[2:]]  # leave out the name of the variant
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            N_("{field} cannot be {value}: {reason}."),
            field=".".join(sections), value=_short(first["input"]), reason=reason,
        ) from None  # fmt: skip


def full_key(config: RunConfig, key: str) -> str:
    """`hidden_size` -> `model.hidden_size`.

    Raises:
        ConfigError: no such field (with the nearest names), or several sections have it.
    """
    known = list(config.flat())
    if key in known:
        return key
    same = [name for name in known if name.split(".")[-1] == key]
    if len(same) == 1:
        return same[0]
    if same:
        raise ConfigError(N_("{key} is in several sections: write {choices}."), key=key, choices=" or ".join(same))
    near = _nearest(key, known)
    if near:
        raise ConfigError(N_("There is no setting {key}. Did you mean {near}?"), key=key, near=" or ".join(near))
    raise ConfigError(
        N_("There is no setting {key}. The settings of this model are: {known}."), key=key, known=", ".join(known)
    )


def _nearest(key: str, known: list[str]) -> list[str]:
    field = key.split(".")[-1]
    exact = [name for name in known if name.split(".")[-1] == field]
    close = difflib.get_close_matches(field, [name.split(".")[-1] for name in known], 2, 0.6)
    return exact or [name for name in known if name.split(".")[-1] in close][:3]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        if text.lower() in ("none", "true", "false"):
            return {"none": None, "true": True, "false": False}[text.lower()]
        return text


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
