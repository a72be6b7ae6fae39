"""Options are understood as people type them, and wrong ones are told with an example."""

import pytest
from import_trade.options import read_options


@pytest.mark.parametrize(
    ("word", "delimiter"),
    [(";", ";"), ("tab", "\t"), ("\\t", "\t"), ("|", "|"), ("semicolon", ";")],
)
def test_a_delimiter_is_a_character_or_its_name(word, delimiter):
    assert read_options(["f.csv", "--delimiter", word]).form.delimiter == delimiter


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--delimiter", ";;"], "is not one character, such as ; or | or the word tab"),
        (["--delimiter", '"'], "is not one character"),
        (["--delimiter", "\n"], "is not one character"),
        (["--decimal", ";"], "invalid choice"),
        (["--date-format", "%H:%M"], "names no day, month and year, as '%m/%d/%Y %H:%M' does"),
        (["--date-format", "DD.MM.YYYY"], "names no day, month and year"),
        (["--encoding", "no-such"], "is no encoding, such as utf-8, windows-1252"),
        (["--encoding", "hex"], "is no encoding"),
    ],
)
def test_a_wrong_option_is_refused_with_an_example(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        read_options(["f.csv", *words])

    assert ended.value.code == 2
    assert told in capsys.readouterr().err
