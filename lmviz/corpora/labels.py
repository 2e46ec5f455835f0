"""What people called something, fit to be shown."""

from pathlib import PurePosixPath

from lmviz.limits import MAX_LABEL


def file_name(name: str) -> str:
    """The last part of a path, as a label."""
    return clean(PurePosixPath(name.replace("\\", "/")).name) or "text"


def clean(label: str) -> str:
    """One line of printable characters."""
    printable = "".join(c if c.isprintable() else " " for c in label[: 100 * MAX_LABEL])
    return " ".join(printable.split())[:MAX_LABEL].strip()
