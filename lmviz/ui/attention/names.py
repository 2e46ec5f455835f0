"""Names of patterns and parts, for people."""

from lmviz.ui.i18n import _


def pattern_name(pattern: str) -> str:
    """What a head mostly does, in a word or two."""
    names = {
        "previous": _("previous token"), "next": _("next token"), "first": _("first token"), "same": _("same token"),
        "self": _("itself"), "bracket": _("bracket or quote"), "induction": _("induction"), "mixed": _("mixed"),
    }  # fmt: skip
    return names.get(pattern, pattern)


def part_name(part: str) -> str:
    names = {
        "attention": _("Decoder, over itself"), "encoder_attention": _("Encoder, over the source"),
        "cross_attention": _("Decoder, over the source"),
    }  # fmt: skip
    return names[part]


def head_name(layer: int, head: int) -> str:
    """Both counted from 1 for people."""
    return _("layer {layer}, head {head}").format(layer=layer + 1, head=head + 1)
