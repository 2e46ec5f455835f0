"""A control for any field of the configuration, made from its type, its limits and the line below it."""

import types
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lmviz.ui.i18n import _, field_help


def field_control(settings: type[BaseModel], field: str, value: Any, key: str) -> Any:
    """Show the control of `settings.field`, beginning at `value`; returns what the person chose."""
    info = settings.model_fields[field]
    kind, optional = _plain_type(info.annotation)
    words = field_help(settings, field)
    if optional:
        return _optional_number(field, kind, value, words, key, info)
    if kind is bool:
        return st.toggle(field, value, help=words, key=key, persist_state="session")
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(field, options, options.index(value), help=words, key=key, persist_state="session")
    if kind in (int, float):
        return _number(field, kind, value, words, key, info)
    return st.text_input(field, value, help=words, key=key, persist_state="session")


def _plain_type(annotation: Any) -> tuple[Any, bool]:
    """float | None -> (float, True)."""
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return parts[0], True
    return annotation, False


def _number(label: str, kind: type, value: Any, words: str, key: str, info: FieldInfo) -> Any:
    low, high = _limits(info)
    if kind is int:
        return st.number_input(
            label, int(low) if low is not None else None, int(high) if high is not None else None, int(value), 1,
            help=words, key=key, persist_state="session",
        )  # fmt: skip
    return st.number_input(
        label, None if low is None else float(low), None if high is None else float(high), float(value),
        step=_float_step(float(value)), format="%g", help=words, key=key, persist_state="session",
    )  # fmt: skip


def _float_step(value: float) -> float:
    """A tenth of the value's power of ten: 0.006 moves by 0.001."""
    return float(f"1e{int(f'{value:e}'.split('e')[1])}") if value else 0.1


def _optional_number(label: str, kind: type, value: Any, words: str, key: str, info: FieldInfo) -> Any:
    chosen = st.toggle(f"{label}", value is not None, help=words, key=f"{key}_on", persist_state="session")
    if not chosen:
        return None
    start = (info.examples or [1.0])[0] if value is None else value
    return st.number_input(
        _("Value of {field}").format(field=label), _limits(info)[0], value=kind(start), step=kind(1), help=words,
        key=key, label_visibility="collapsed", persist_state="session",
    )  # fmt: skip


def _limits(info: FieldInfo) -> tuple[Any, Any]:
    """Smallest and largest value; an open limit is moved inside by a little."""
    low = high = None
    for limit in info.metadata:
        if isinstance(limit, annotated_types.Ge):
            low = limit.ge
        elif isinstance(limit, annotated_types.Gt):
            low = limit.gt + 1e-9  # type: ignore[operator]
        elif isinstance(limit, annotated_types.Le):
            high = limit.le
        elif isinstance(limit, annotated_types.Lt):
            high = limit.lt - 1 if isinstance(limit.lt, int) and limit.lt > 1 else limit.lt - 1e-6  # type: ignore[operator]
    return low, high
