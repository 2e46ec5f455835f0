"""The documentation names what there is, all of it."""

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


def test_every_setting_is_documented() -> None:
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == settings_page()
    for config in (*MODELS, RecurrentConfig, RunConfig):
        for name, field in config.model_fields.items():
            assert name in ("kind", "schema_version") or field.description or name in RunConfig.model_fields, name
