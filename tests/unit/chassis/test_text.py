import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.text import as_name, normalised

PERSIAN = "می‌خواهم"
BENGALI = "র‍্যাব"
MALAYALAM = "രാജന്‍"
EMOJI = ["👩‍🚀", "👨🏽‍💻", "❤️‍🔥", "🏳️‍🌈", "1️⃣", "ℹ️"]

any_text = st.text(max_size=60)


def accepted(function, text, **how):
    try:
        return function(text, **how)
    except ValueError:
        return None


@pytest.mark.parametrize("function", [normalised, as_name])
def test_two_spellings_of_a_letter_become_one(function):
    assert function("Cafe\u0301") == function("Café") == "Café"


@pytest.mark.parametrize("function", [normalised, as_name])
@pytest.mark.parametrize(
    "character",
    [
        "\0",
        "\x1b",
        "\x85",
        "\r",
        "\u00ad",  # soft hyphen
        "\u200b",
        "\u200e",
        "\u202e",
        "\u2028",
        "\u2029",
        "\u2060",
        "\ufeff",
        "\ud800",
        "\u0378",  # not assigned
        "\ufffe",
        "\U000e0041",
    ],
)
def test_what_shows_nothing_or_commands_is_refused_by_name(function, character):
    with pytest.raises(ValueError, match=rf"^must not contain U\+{ord(character):04X} \(.+\)$"):
        function(f"LAMP{character}1")


@pytest.mark.parametrize("character", ["\n", "\t"])
def test_only_free_text_has_lines_and_tabs(character):
    assert normalised(f"a{character}b", lines=True) == f"a{character}b"
    with pytest.raises(ValueError):
        normalised(f"a{character}b")


@pytest.mark.parametrize("text", [PERSIAN, BENGALI, MALAYALAM, *EMOJI, "葛\U000e0100城", "₹ 5"])
def test_languages_and_emoji_keep_what_they_need(text):
    assert as_name(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text",
    ["LA\u200dMP", "LAMP\u200c", "\u200dLAMP", "LAMP \u200d1", "\u200c", "5\u200d", "👩\u200d"],
)
def test_a_joiner_that_joins_nothing_is_refused(text):
    with pytest.raises(ValueError, match="inside a word or an emoji"):
        normalised(text)


@pytest.mark.parametrize("text", ["", " ", "\u3000", " LAMP", "LAMP ", "LAMP\u00a0", "\u2003LAMP"])
def test_a_name_is_not_blank_and_has_no_white_space_around_it(text):
    assert normalised(text) == text
    with pytest.raises(ValueError, match="blank|white space"):
        as_name(text)


@pytest.mark.parametrize("blank", ["\u034f", "\u115f", "\u2800", "\u3164", "\uffa0", "\ufe0f"])
def test_a_name_has_no_letter_or_mark_that_shows_nothing(blank):
    for name in (blank, f"LAMP{blank}", f"LA{blank}MP"):
        with pytest.raises(ValueError, match=rf"U\+{ord(blank):04X}"):
            as_name(name)


@given(any_text)
def test_what_is_accepted_is_accepted_as_it_is_again(text):
    for once in (accepted(normalised, text, lines=True), accepted(as_name, text)):
        if once is not None:
            assert normalised(once, lines=True) == once
            assert unicodedata.is_normalized("NFC", once)


@given(any_text)
def test_spellings_of_a_text_have_one_verdict(text):
    for form in ("NFC", "NFD"):
        assert accepted(normalised, unicodedata.normalize(form, text)) == accepted(normalised, text)


def test_a_row_of_marks_ends_before_it_costs_anything():
    begun = time.process_time()
    with pytest.raises(ValueError, match="more than 30 marks"):
        normalised("a" + "\u0300\u0316" * 20_000)
    refusing = time.process_time() - begun

    begun = time.process_time()
    normalised("é" * 40_000)
    assert refusing < 10 * (time.process_time() - begun) + 0.01
