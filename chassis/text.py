"""Text that comes in: equal to the eye is equal in code points, and nothing in it is invisible.

`normalised` takes one line, or with `lines` free text. `as_name` takes names and keys, which tell
things apart: they are not blank, and two of them do not differ by something that nobody sees.
"""

import re
import unicodedata

# https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format. No language needs more. Without a
# bound, Python's normalisation takes seconds for 40,000 marks in a row.
MOST_MARKS_IN_A_ROW = 30

_LINE_FEED_AND_TAB = "\n\t"
_JOINERS = "\u200c\u200d"
_REFUSED = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cn": f"not assigned in Unicode {unicodedata.unidata_version}",
    "Cs": "a lone surrogate",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}
_VIRAMA = 9  # the combining class of signs that join consonants of Indic scripts

# Letters, marks and symbols that show nothing
# (https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, and U+2800).
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159]")
_VARIATION_SELECTOR = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_KEYCAP = "\u20e3"
_EMOJI_AMONG_PUNCTUATION_AND_LETTERS = "\u203c\u2049\u2139\u3030"


def normalised(text, *, lines=False):
    """Return the text in NFC.

    Args:
        text: a str.
        lines: whether line feeds and tabs are allowed, as in free text.

    Raises:
        ValueError: the text contains a character of category Cc, Cf, Cn, Cs, Zl or Zp. Of these,
            U+200C and U+200D are allowed in a word of a script without upper case, and in an
            emoji. Or more than MOST_MARKS_IN_A_ROW marks follow each other. The message is a clause
            that follows the name of the field: "must not contain U+200B (zero width space)".
    """
    if text.isascii() and text.isprintable():
        return text
    _refuse_characters(text, allowed=_JOINERS + (_LINE_FEED_AND_TAB if lines else ""))
    _refuse_long_rows_of_marks(text)
    text = unicodedata.normalize("NFC", text)
    for joiner in re.finditer(f"[{_JOINERS}]", text):
        if not _joins(text, joiner.start()):
            raise ValueError(
                f"must not contain {_shown(joiner[0])} other than inside a word or an emoji"
            )
    return text


def as_name(text):
    """Return a name or a key in NFC.

    Raises:
        ValueError: as `normalised`. Or the text is blank, begins or ends with white space, or
            contains another character that shows nothing, such as U+3164 (hangul filler).
    """
    text = normalised(text)
    if not text.strip():
        raise ValueError("must not be blank")
    if text != text.strip():
        raise ValueError("must not begin or end with white space")
    if text.isascii():
        return text
    if blank := _BLANK.search(text):
        raise ValueError(f"must not contain {_shown(blank[0])}")
    for selector in _VARIATION_SELECTOR.finditer(text):
        if not _varies(text, selector.start()):
            raise ValueError(
                f"must not contain {_shown(selector[0])} behind a character that has no variants"
            )
    return text


def _refuse_characters(text, allowed):
    refused = [
        character
        for character in set(text).difference(allowed)
        if unicodedata.category(character) in _REFUSED
    ]
    if refused:
        raise ValueError(f"must not contain {_shown(min(refused, key=text.index))}")


def _refuse_long_rows_of_marks(text):
    row = 0
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        if row > MOST_MARKS_IN_A_ROW:
            raise ValueError(f"must not have more than {MOST_MARKS_IN_A_ROW} marks on a character")


def _joins(text, place):
    """Whether a joiner can change how its neighbours are drawn: in a word, or in an emoji.

    Persian and Indic words and emoji need joiners. Between letters of a script with upper case a
    joiner is invisible, so there it is refused.
    """
    if place and unicodedata.combining(text[place - 1]) == _VIRAMA:
        return True
    base = place - 1
    while base > 0 and unicodedata.category(text[base])[0] == "M":
        base -= 1
    before = unicodedata.category(text[base]) if base >= 0 else ""
    after = unicodedata.category(text[place + 1]) if place + 1 < len(text) else ""
    in_a_word = before in ("Lo", "Lm") and after in ("Lo", "Lm", "Mn", "Mc")
    in_an_emoji = before in ("So", "Sk", "Sm") and after in ("So", "Sm")
    return in_a_word or in_an_emoji


def _varies(text, place):
    """Whether a variation selector stands behind a character that can have variants."""
    before = text[place - 1] if place else " "
    return (
        unicodedata.category(before) in ("Lo", "Sk", "Sm", "So")
        or before in _EMOJI_AMONG_PUNCTUATION_AND_LETTERS
        or text[place + 1 : place + 2] == _KEYCAP
    )


def _shown(character):
    kind = _REFUSED.get(unicodedata.category(character), "")
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X} ({name or kind})"
