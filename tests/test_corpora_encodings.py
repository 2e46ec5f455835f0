"""Short texts in the encodings that people's files are in: what few bytes say must be read as it was written."""

import pytest

from lmviz.corpora import decode

GBK = [
    "你好", "我爱你", "中文", "谢谢大家！", "春天来了。", "床前明月光，疑是地上霜。", "“你好，”他说。",
    "用Python写的代码", "“It’s a truth universally acknowledged …” — and so on", "“Hello” — she said",
    "He said “yes”…", "20°C outside", "José and his café…", "第一章 回到家乡\n", "——", "（完）", "全角：ＡＢＣ１２３",
    "这是一个测试文件，里面有几行中文。\n第二行。", "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。",
    "def f():  # 返回结果\n    return 1\n", "价格：￥100，约20℃",
]  # fmt: skip
BIG5 = [
    "你好", "我愛你", "中文", "謝謝大家！", "春天來了。", "床前明月光，疑是地上霜。", "「你好，」他說。",
    "用Python寫的程式", "“It’s a truth universally acknowledged …” — and so on", "He said “yes”…",
    "第一章　回到家鄉\n", "（完）", "這是一個測試檔案，裡面有幾行中文。\n第二行。",
    "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。", "煙花三月下揚州",
]  # fmt: skip
SHIFT_JIS = [
    "こんにちは", "ありがとう。", "カタカナ", "日本語のテキスト", "吾輩は猫である。", "「はい」と言った。",
    "Pythonで書く", "これは短い文です。\nもう一行。",
]  # fmt: skip
EUC_KR = [
    "안녕하세요", "한국어", "감사합니다.", "나는 학교에 간다.", "이것은 시험입니다.", "서울의 봄\n두 번째 줄",
]  # fmt: skip
CP1252 = [
    "José", "José\nplain lines\nand more of them\n", "café", "Zoë", "£5", "a README\nIt costs £5.\n", "20°C",
    "© 2020 Me", "naïve", "“Hello,” she said.", "It’s fine", "a – b", "a — b — c", "wait…", "Ärger",
    "Übermut tut selten gut", "Öl", "Größe", "à", "Il va à Paris", "ÉCOLE", "Été", "CRÉÉE", "señor", "¿Qué?", "«Oui»",
    "« Là-bas »", "São Paulo", "smörgåsbord", "Åse på øya", "5 €", "ça", "½ cup", "± 0.1", "cœur", "x² + y²",
    "Þetta er íslenska", "• one\n• two\n", "Les élèves ont été là",
]  # fmt: skip
CYRILLIC = [
    "Привет", "Привет, мир!", "война и мир", "Съешь ещё этих мягких французских булок", "Да", "Мама мыла раму.",
    "Глава 1\nВсе счастливые семьи похожи друг на друга", "ПРИВЕТ МИР", "Python и другие языки", "«Война и мир»",
    "The word мир means peace",
]  # fmt: skip
CASES = [
    *[(text, "gbk", "gb18030") for text in GBK],
    *[(text, "big5", "big5") for text in BIG5],
    *[(text, "shift_jis", "shift_jis") for text in SHIFT_JIS],
    *[(text, "euc_jp", "euc_jp") for text in SHIFT_JIS],
    *[(text, "euc_kr", "euc_kr") for text in EUC_KR],
    *[(text, "cp1252", "cp1252") for text in CP1252],
    *[(text, "cp1251", "cp1251") for text in CYRILLIC],
    *[(text, "koi8-r", "koi8-r") for text in CYRILLIC if "«" not in text],
    *[(text, encoding, encoding) for text in (*GBK, *BIG5, *SHIFT_JIS, *EUC_KR, *CP1252, *CYRILLIC)
      for encoding in ("utf-16-le", "utf-16-be") if any(c in text for c in " \n")],  # which make the zero bytes
]  # fmt: skip


@pytest.mark.parametrize(("text", "written", "found"), CASES)
@pytest.mark.parametrize("repetitions", [1, 3, 50])
def test_a_short_text_is_read_as_it_was_written(text: str, written: str, found: str, repetitions: int) -> None:
    lines = "\n".join([text] * repetitions)
    assert decode(lines.encode(written)) == (lines, found)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("text", "written", "found"), CASES[::5])
def test_plain_lines_around_it_change_nothing(text: str, written: str, found: str, end: str) -> None:
    around = f"plain words{end}" * 3000
    assert decode((around + text + end + around).encode(written)) == (
        (around + text + end + around).replace("\r\n", "\n").replace("\r", "\n"),
        found,
    )
