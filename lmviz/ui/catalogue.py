"""Keeps the message catalogues in step with the code: `python -m lmviz.ui.catalogue update`.

Texts are found in `_()`, `N_()` and `ngettext()`, and in the lines below the fields of the configuration, which pages
show as help. Translations that exist are kept, new texts are added empty, old ones go. The files are sorted and name no
line numbers, so a change shows what changed.
"""

import importlib
import importlib.util
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from lmviz.config import Settings
from lmviz.ui.i18n import LANGUAGES, po_path

ROOT = Path(__file__).resolve().parent.parent.parent
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
CONFIG_MODULES = ("lmviz.config", "lmviz.model_config", "lmviz.decoding.config")
VOLATILE = (
    b'"POT-Creation-Date',
    b'"PO-Revision-Date',
    b'"Last-Translator',
    b'"Language-Team',
    b'"Report-Msgid',
    b'"Generated-By',
)
"""Header lines that change without a change of text."""


def messages() -> Catalog:
    """Every text a person can see, untranslated."""
    catalog = Catalog(project="lmviz", header_comment="# Texts of lmviz. python -m lmviz.ui.catalogue update")
    for path in sources():
        for _line, message, _comments, context in extract_from_file("python", path, KEYWORDS):
            catalog.add(message, context=context)
    for description in field_descriptions():
        catalog.add(description)
    return catalog


def sources() -> list[Path]:
    """The files whose texts people see."""
    return [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "lmviz").rglob("*.py"))]


def field_descriptions() -> list[str]:
    """The line below each field of each Settings class of CONFIG_MODULES; what a page keeps of its controls is shown to
    nobody.
    """
    for module in CONFIG_MODULES:
        if importlib.util.find_spec(module):
            importlib.import_module(module)
    classes = [Settings]
    for settings in classes:  # grows while it is walked: subclasses of subclasses
        classes += settings.__subclasses__()
    shown = [settings for settings in classes if settings.__module__ in CONFIG_MODULES]
    return [field.description for settings in shown for field in settings.model_fields.values() if field.description]


def catalogue(code: str) -> Catalog:
    """The catalogue of a language as it is on disk, empty if there is none."""
    path = po_path(code)
    if not path.exists():
        return Catalog(locale=code)
    with path.open("rb") as file:
        return read_po(file, locale=code)


def update(code: str) -> Path:
    """Bring one language's file up to date; returns its path."""
    old, new = catalogue(code), messages()
    result = Catalog(locale=code, project="lmviz", header_comment=new.header_comment, fuzzy=False)
    for message in new:
        if message.id:
            known = old.get(message.id)
            result.add(message.id, known.string if known and not known.fuzzy else None, flags=message.flags)
    buffer = BytesIO()
    write_po(buffer, result, sort_output=True, no_location=True, width=100)
    lines = [line for line in buffer.getvalue().splitlines(keepends=True) if not line.startswith(VOLATILE)]
    path = po_path(code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(lines))
    return path


def main(arguments: list[str]) -> int:
    """The command line; 0 when done, 2 for anything but `update`."""
    if arguments != ["update"]:
        sys.stderr.write("Use: python -m lmviz.ui.catalogue update\n")
        return 2
    for code in LANGUAGES:
        if code != "en":
            path = update(code)
            missing = sum(1 for message in catalogue(code) if message.id and not message.string)
            sys.stdout.write(f"{path.relative_to(ROOT)}: {missing} to translate\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
