"""The documentation names what there is, all of it."""

import ast
import re

from browser import ROOT

from lmviz.config import (
    GPTConfig,
    GRUConfig,
    LSTMConfig,
    NgramConfig,
    NVSIConfig,
    RecurrentConfig,
    RNNConfig,
    RunConfig,
)
from lmviz.settings_page import settings_page

MODELS = (NgramConfig, RNNConfig, NVSIConfig, GRUConfig, LSTMConfig, GPTConfig)


def test_the_readme_lists_every_page() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in (ROOT / "pages").glob("*.py"):
        assert f"`pages/{page.name}`" in readme


def test_pictures_and_links_of_the_docs_are_there() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_pages_import_neither_torch_nor_plotly() -> None:
    for page in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        for node in ast.walk(ast.parse(page.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in ("torch", "plotly")], page.name


def test_every_setting_is_documented() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == settings_page()
    for config in (*MODELS, RecurrentConfig, RunConfig):
        for name, field in config.model_fields.items():
            assert name in ("kind", "schema_version") or field.description or name in RunConfig.model_fields, name
