"""The page that says what arrives where is true."""

from features import PAGE, page


def test_the_page_says_what_the_translation_does() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python tests/features.py and read the difference"
