"""Recognises the encoding of transcripts: UTF-8, UTF-16, or a code page that Windows programs still write.

Code pages do not say which one they are, so a reading must be plausible: its letters are those of one
language that is written in that page. Where several are, none is taken.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import unicodedata
from dataclasses import dataclass

from pipeline.config import CorpusSettings
from pipeline.errors import UsageError

UTF_8 = "utf-8"
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
EVIDENCE = 3  # letters beyond ASCII that a reading must have: fewer fit everything
MARKS = frozenset("“”‘’„‚«»‹›–—…€£°¡¿\xa0")  # that any language's texts may hold
CJK_MARKS = frozenset("　、。，．・「」『』（）？！：；“”‘’…—～〜ー《》〈〉【】·")

# Letters beyond a to z, by the language that the code page is used for; `é` and `à` come with loan words.
LATIN = {
    "cp1252": {
        **{"de": "äöüßéà", "fr": "àâæçéèêëîïôœùûü", "es": "áéíñóúü", "pt": "áâãàçéêíóôõú", "it": "àèéìîòóù"},
        **{"nl": "áéèëïóöüà", "sv": "åäöéà", "da": "åæøéà", "no": "åæøéòà", "fi": "åäö", "ca": "àçèéíïòóúü"},
        **{"is": "áðéíóúýþæö"},
    },
    "cp1250": {
        **{"pl": "ąćęłńóśźż", "cs": "áčďéěíňóřšťúůýž", "sk": "áäčďéíĺľňóôŕšťúýž", "hu": "áéíóöőúüű"},
        **{"ro": "ăâîșțşţ", "hr": "čćđšž", "sl": "čšž"},
    },
    "cp1254": {"tr": "çğıöşüâî"},
    "cp1257": {"lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž", "et": "äöõüšž"},
}
# Of other scripts: the word in the names of its letters, its most frequent letters, the share they make up.
SCRIPTS = {
    "cp1251": ("CYRILLIC", "оеаинтсрвл", 0.45, ("ru", "uk", "bg", "sr", "be", "mk")),
    "cp1253": ("GREEK", "αοιετσνηυρςάέήίόύώ", 0.6, ("el",)),
    "cp1255": ("HEBREW", "יוהלאתרבשמנ", 0.6, ("he",)),
    "cp1256": ("ARABIC", "اليمنوترهبةد", 0.6, ("ar", "fa", "ur")),
    "cp874": ("THAI", "านรกอเงมยลวดทสตะปบคห่้ัิี", 0.7, ("th",)),
}
EAST_ASIAN = {"cp932": "ja", "gb18030": "zh", "big5": "zh", "cp949": "ko"}
FREQUENT = {  # characters that make up at least a tenth of any text
    "cp949": frozenset("이다는을를가하고의에지기사아니어나도요로한리해자시그들서인"),
    "gb18030": frozenset(
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能年天好很去吧"
    ),
    "big5": frozenset("的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能年天好很去吧"),
}
CODE_PAGES = (*LATIN, *SCRIPTS, *EAST_ASIAN)


@dataclass(frozen=True)
class Reading:
    """A way to read bytes that are not UTF-8."""

    encoding: str
    text: str


def check(settings: CorpusSettings) -> None:
    """Raise UsageError if `corpus.encoding` is not the name of an encoding."""
    with contextlib.suppress(LookupError, ValueError):
        if settings.encoding is None or isinstance(b"a".decode(settings.encoding), str):
            return
    raise UsageError(f"corpus.encoding = {settings.encoding!r} is no encoding; one is cp1252")


def is_wide(encoding: str) -> bool:
    """Return whether a character takes several bytes, ASCII too."""
    return encoding.startswith(("utf-16", "utf-32"))


class Undecodable(ValueError):
    """Bytes whose encoding is not told by themselves; says, as the end of a sentence, what could be."""

    def __init__(self, readings: list[Reading]) -> None:
        said = "; ".join(f"as {each.encoding} they begin {_glimpse(each.text)}" for each in readings)
        super().__init__(
            f"is not UTF-8{' (' + said + ')' if said else ''}: set corpus.encoding, such as cp1252"
        )


def recognise(sample: bytes, settings: CorpusSettings) -> str:
    """Return the encoding of a text that begins with `sample`, whole lines. Raises Undecodable.

    UTF-8 is returned for a text that has some lines in it that are not.
    """
    if settings.encoding is not None:
        return codecs.lookup(settings.encoding).name
    for bom, encoding in BOMS.items():
        if sample.startswith(bom):
            return encoding
    lines = sample.replace(b"\r", b"\n").split(b"\n")
    good = [line for line in lines if _decodes(line, UTF_8)]
    if len(good) == len(lines) or (any(not line.isascii() for line in good) and len(good) * 2 >= len(lines)):
        return UTF_8
    readings = _readings(sample, settings.language)
    if len({each.text for each in readings}) == 1:
        return readings[0].encoding
    filled = [line for line in lines if line.strip()]
    if not readings and sum(_decodes(line, UTF_8) for line in filled) * 2 >= len(filled):
        return UTF_8
    raise Undecodable(readings)


def decode(content: bytes, settings: CorpusSettings) -> str:
    """Return a whole text. Raises ValueError, worded as the end of a sentence."""
    encoding = recognise(content, settings)
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not {name_of(encoding)}") from None


def name_of(encoding: str) -> str:
    """Return an encoding's name as people write it."""
    return encoding.removesuffix("-sig").upper()


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _readings(sample: bytes, language: str | None) -> list[Reading]:
    """Return the plausible readings in the code pages; of a known language, in its own."""
    own = [
        page for page in CODE_PAGES if language is not None and language.partition("-")[0] in _languages(page)
    ]
    found = []
    for page in own or CODE_PAGES:
        if _decodes(sample, page):
            text = sample.decode(page)
            if len(own) == 1 or _is_plausible(text, page):
                found.append(Reading(page, text))
    return found


def _languages(page: str) -> tuple[str, ...]:
    if page in LATIN:
        return tuple(LATIN[page])
    return SCRIPTS[page][3] if page in SCRIPTS else (EAST_ASIAN[page],)


def _is_plausible(text: str, page: str) -> bool:
    marks = CJK_MARKS | MARKS if page in EAST_ASIAN else MARKS
    beyond = [
        char for char in text.lower().replace("i\u0307", "i") if not char.isascii() and char not in marks
    ]
    if len(beyond) < EVIDENCE:
        return False
    if page in LATIN:
        return any(set(beyond) <= set(letters) for letters in LATIN[page].values())
    if page in SCRIPTS:
        script, common, share, _ = SCRIPTS[page]
        in_script = all(script in unicodedata.name(char, "") for char in beyond)
        mixed = re.search(r"[^\W\d_a-zA-Z][a-zA-Z]|[a-zA-Z][^\W\d_a-zA-Z]", text)
        return in_script and not mixed and sum(char in common for char in beyond) >= share * len(beyond)
    return _is_east_asian(beyond, page)


def _is_east_asian(beyond: list[str], page: str) -> bool:
    """Return whether characters are such as texts in the page mostly are made of."""
    kana = sum("\u3041" <= char <= "\u30fa" for char in beyond)
    hangul = sum("\uac00" <= char <= "\ud7a3" for char in beyond)
    han = sum("\u4e00" <= char <= "\u9fff" for char in beyond)
    if page == "cp932":
        return kana * 5 >= len(beyond) and kana + han == len(beyond)
    frequent = sum(char in FREQUENT[page] for char in beyond)
    return (hangul if page == "cp949" else han) == len(beyond) and frequent * 10 >= len(beyond)


def _glimpse(text: str) -> str:
    """Return the first line that is not ASCII, shortened."""
    line = next((line for line in text.splitlines() if not line.isascii()), "")
    return repr(line[:60])
