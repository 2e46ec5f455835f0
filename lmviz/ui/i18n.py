"""Every word a person sees, in that person's language (gettext; English in the code, the rest in lmviz/locale).

Nothing here knows Streamlit, so figures and tests can translate too. Which language is current is asked of a provider
that `lmviz.ui.shell` sets for the web server; without one it is English. Catalogues are read from the .po files
themselves: no compiled file to forget.
"""

import gettext
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from pydantic import BaseModel

from lmviz.errors import LmvizError

LANGUAGES = {"en": "English", "zh": "中文"}
"""Code -> its own name, as the switch shows it."""

LOCALE = Path(__file__).resolve().parent.parent / "locale"


class _Current:
    """Where the current language comes from."""

    provider: Callable[[], str] = staticmethod(lambda: "en")


def set_provider(provider: Callable[[], str]) -> None:
    """From now on `provider()` says which language is current; it is asked for every text."""
    _Current.provider = staticmethod(provider)


def language() -> str:
    """Code of the current language, one of LANGUAGES."""
    return _Current.provider()


def best_match(wish: str | None) -> str | None:
    """A wish such as "zh-Hans-CN", "ZH" or "fr" -> one of LANGUAGES, or None if we do not speak it."""
    code = (wish or "").replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else None


def po_path(code: str) -> Path:
    """The catalogue of a language."""
    return LOCALE / code / "LC_MESSAGES" / "lmviz.po"


@cache
def translations(code: str) -> gettext.NullTranslations:
    """The texts of a language, read once a process."""
    if code == "en":
        return gettext.NullTranslations()
    with po_path(code).open("rb") as file:
        catalog = read_po(file, locale=code)
    buffer = BytesIO()
    write_mo(buffer, catalog)
    buffer.seek(0)
    return gettext.GNUTranslations(buffer)


def _(message: str) -> str:
    """The text in the current language; English where a translation is missing."""
    return translations(language()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, count: int) -> str:
    """The form that fits a count: `ngettext("{n} run", "{n} runs", n).format(n=n)`."""
    return translations(language()).ngettext(singular, plural, count)


def listed(names: Sequence[str]) -> str:
    """Names as the language lists them: "RNN, GRU, and LSTM"; "RNN、GRU和LSTM"."""
    return str(format_list(names, "standard", language()))


def translate_error(error: LmvizError | Mapping[str, Any]) -> str:
    """The sentence of an error, or of its `to_dict()` as a run folder keeps it, in the current language."""
    record = error.to_dict() if isinstance(error, LmvizError) else error
    template = record.get("template")
    if not template:
        return str(record.get("message", ""))
    try:
        return _(template).format(**record.get("values", {}))
    except (KeyError, IndexError):  # written by another version, with other values
        return str(record.get("message", template))


def field_help(settings: type[BaseModel], field: str) -> str:
    """The line below a field of the configuration, as help for the control that sets it.

    Raises:
        KeyError: no such field.
    """
    text = settings.model_fields[field].description or ""
    return _(text)
