"""Runs each row of the table."""
import pytest

import table


@pytest.mark.parametrize("name", table.ROWS)
def test_dialect(name, results, record_property):
    wrong, notes = results[name].result()
    record_property("measured", f"{name:20} {wrong.splitlines()[0] if wrong else ''} {notes}")
    if wrong:
        pytest.fail(wrong, pytrace=False)  # the text is complete; a traceback into the harness adds nothing
