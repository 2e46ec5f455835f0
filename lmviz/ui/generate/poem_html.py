"""A poem set as verse, with the sound of every character, and its pattern beside it, as HTML. All text is escaped."""

import html
from collections.abc import Sequence
from typing import Any

from lmviz.decoding.verse import LINES, PATTERNS, Pattern
from lmviz.ui.i18n import _

MARKS = {"level": "○", "oblique": "●", "either": "◎", "none": "?"}
SHAPES = {"平": "○", "仄": "●", "中": "◎"}

STYLE = """<style>
.verse { display: flex; flex-wrap: wrap; gap: 1.25rem 2rem; align-items: flex-start; }
.verse-lines { display: grid; gap: 0.55rem; }
.verse-line { display: flex; }
.verse-line.given .sign b { color: var(--st-gray-text-color); }
.sign { display: grid; justify-items: center; width: 3.3rem; line-height: 1.2; border-bottom: 3px solid transparent; }
.sign b {
  font: 400 2.1rem/1.25 "Songti SC", "Noto Serif CJK SC", "Noto Serif CJK TC", "Source Han Serif", SimSun, serif;
}
.sign i { font: 0.8rem/1.3 var(--st-font, inherit); color: var(--st-gray-text-color); }
.sign em { font: 0.8rem/1.3 var(--st-font, inherit); }
.sign.wrong { border-bottom: 3px double light-dark(#b3470f, #f0a070); }
.sign.wrong em::after { content: " ✗"; color: light-dark(#b3470f, #f0a070); font-weight: 700; }
.sign.rhyme b { box-shadow: 0 0 0 2px light-dark(#1f6fb5, #6db3f2); border-radius: 50%; padding: 0 0.28rem; }
.sign.rhyme.off b { box-shadow: 0 0 0 2px light-dark(#b3470f, #f0a070); border-radius: 0; }
.verse-table { border-collapse: collapse; font-size: 0.95rem; }
.verse-table caption { text-align: left; padding-bottom: 0.35rem; font-size: 0.875rem; font-weight: 600; }
.verse-table td {
  width: 1.75rem; height: 1.9rem; text-align: center; border: 1px solid var(--st-border-color); padding: 0;
}
.verse-table td.end { box-shadow: inset 0 0 0 2px light-dark(#1f6fb5, #6db3f2); }
.verse-table td.wrong {
  text-decoration: underline double light-dark(#b3470f, #f0a070) 2px; text-underline-offset: 3px; font-weight: 700;
}
.verse-key {
  margin-top: 0.5rem; font-size: 0.8125rem; color: var(--st-gray-text-color); max-width: 15rem; line-height: 1.5;
}
.idioms { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.2rem, 1fr)); gap: 0.7rem 1.2rem; }
.idioms .sign { width: 3rem; } .idioms .sign b { font-size: 1.5rem; }
.idioms .known { border-left: 3px solid light-dark(#1f6fb5, #6db3f2); padding-left: 0.35rem; }
@media (max-width: 640px) {
  .sign { width: 2.85rem; } .sign b { font-size: 1.7rem; } .verse-table td { width: 1.6rem; }
  .idioms { grid-template-columns: 1fr 1fr; gap: 0.7rem 0.6rem; } .idioms .sign { width: 2.5rem; }
}
</style>"""


def poem_html(answer: dict[str, Any]) -> str:
    """What "poem" answers: characters with pinyin and tone, and the pattern."""
    pattern = PATTERNS[answer["pattern"]]
    rhymes = {rhyme["line"]: rhyme["kept"] for rhyme in answer["rhymes"]}
    lines = "".join(
        _line(line, rhymes.get(number), pattern.size, given=number < answer["given"])
        for number, line in enumerate(answer["lines"])
    )
    return (
        f'{STYLE}<div class="verse"><div class="verse-lines" lang="zh">{lines}</div>'
        f"<div>{_table(pattern, answer['lines'], rhymes)}{_key()}</div></div>"
    )


def _line(line: Sequence[dict[str, Any]], rhyme: bool | None, size: int, *, given: bool) -> str:
    signs = "".join(sign_html(sign, rhyme if place == size - 1 else None) for place, sign in enumerate(line))
    return f'<div class="verse-line{" given" if given else ""}">{signs}</div>'


def sign_html(sign: dict[str, Any], rhyme: bool | None = None) -> str:
    """One character. rhyme: whether it rhymes; None: it need not."""
    names = ["sign"] + ["wrong"] * (not sign["kept"])
    names += [] if rhyme is None else ["rhyme"] if rhyme else ["rhyme", "off"]
    title = html.escape(_words(sign, rhyme))
    return (
        f'<span class="{" ".join(names)}" title="{title}"><b>{html.escape(sign["character"])}</b>'
        f"<i>{html.escape(sign['pinyin'])}</i><em>{MARKS[sign['tone']]}</em></span>"
    )


def _words(sign: dict[str, Any], rhyme: bool | None) -> str:
    names = tone_names()
    words = [names[sign["tone"]]]
    if sign["wanted"] is None:
        words.append(_("the pattern has no such place"))
    elif not sign["kept"]:
        words.append(
            _("wanted: {tone}").format(tone=names[{"平": "level", "仄": "oblique"}.get(sign["wanted"], "either")])
        )
    if rhyme is not None:
        words.append(_("rhymes") if rhyme else _("does not rhyme"))
    return ", ".join(words)


def tone_names() -> dict[str, str]:
    return {"level": _("level"), "oblique": _("oblique"), "either": _("either"), "none": _("no tone known")}


def _table(pattern: Pattern, lines: Sequence[Sequence[dict[str, Any]]], rhymes: dict[int, bool]) -> str:
    rows = []
    for number in range(LINES):
        cells = []
        for place, mark in enumerate(pattern.lines[number]):
            line = lines[number] if number < len(lines) else ()
            wrong = place < len(line) and not line[place]["kept"]
            end = number in rhymes and place == pattern.size - 1
            names = " ".join(["end"] * end + ["wrong"] * wrong)
            cells.append(f'<td class="{names}">{SHAPES[mark]}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = html.escape(_("The pattern: {name}").format(name=pattern.chinese))
    return f'<table class="verse-table"><caption>{title}</caption>{"".join(rows)}</table>'


def _key() -> str:
    words = [
        _("○ level (平: tones 1 and 2) · ● oblique (仄: tones 3 and 4) · ◎ either"),
        _("Ringed or framed: rhymes. Underlined twice, with ✗: not as the pattern wants it."),
    ]
    return f'<div class="verse-key">{"<br>".join(map(html.escape, words))}</div>'


def idioms_html(idioms: Sequence[dict[str, Any]]) -> str:
    """What "idiom_tones" answers: four characters with pinyin and tones each."""
    tones = {"平": "level", "仄": "oblique"}
    cells = []
    for idiom in idioms:
        signs = "".join(
            sign_html({"character": character, "pinyin": pinyin, "tone": tones[tone], "wanted": tone, "kept": True})
            for character, pinyin, tone in zip(idiom["characters"], idiom["pinyin"], idiom["tones"], strict=True)
        )
        cells.append(f'<div class="verse-line{" known" if idiom["known"] else ""}">{signs}</div>')
    return f'{STYLE}<div class="idioms" lang="zh">{"".join(cells)}</div>'
