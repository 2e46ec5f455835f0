"""Views, plain values that pages show, as parts of the address and back. Not here: Streamlit."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from lmviz.config import Settings

V = TypeVar("V", bound=Settings)


def from_address(kind: type[V], address: Mapping[str, str]) -> V:
    """The view of an address; what it does not say, or says wrongly, is as at first."""
    values: dict[str, Any] = {name: address[name] for name in kind.model_fields if name in address}
    for name, value in values.items():
        if isinstance(kind.model_fields[name].default, tuple):
            values[name] = tuple(part for part in value.split(",") if part)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return kind.model_validate({name: value for name, value in values.items() if name not in wrong})


def to_address(view: Settings) -> dict[str, str]:
    """What is not as at first, by name."""
    return {name: _text(value) for name, value in view if value != type(view).model_fields[name].default}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
