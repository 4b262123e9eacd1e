import page


def test_page_is_what_the_table_makes():
    assert page.PAGE.read_text() == page.page(), "run tests/dialects/page.py"
