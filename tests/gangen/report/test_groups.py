"""How what was measured, and how, is written in a report."""

from gangen.report.groups import settings


def test_settings_show_words_as_they_are():
    given = {"unit": r"matches of \w+", "quoted": '"a"', "lines": "a\nb", "none": None, "widths": [3, 4]}
    shown = {"unit": r"matches of \w+", "quoted": '"a"', "lines": r'"a\nb"', "none": "null", "widths": "[3, 4]"}
    assert dict(settings(given)) == shown
