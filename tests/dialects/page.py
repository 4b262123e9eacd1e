"""docs/endpoints.md from the table: `page.py` writes it."""
from pathlib import Path

import table

PAGE = Path(__file__).resolve().parents[2] / "docs/endpoints.md"

HEAD = """# Which endpoints work

How providers, gateways and clients answer, and what Towline makes of it. Each row is a test (`tests/dialects`, part of `make test`): a fresh execution client is towed through a gateway
that answers in this way. This page is generated from the table of these tests (`tests/dialects/page.py`).

| what to expect | means |
|---|---|
| works | a fresh client reaches the head and follows it; Towline says ready |
| works, slower | the same; Towline learns the limits of the endpoint at the cost of few requests, and keeps to them |
| a reason code | the endpoint cannot work. `towline status`, `/readyz` and `towline endpoints` show this code and the cause before 150 requests were in vain, and nothing says ready |
| set aside | the next endpoint is used; `towline endpoints` shows this endpoint with the code |

For an endpoint that is in no row, `towline endpoints` shows how Towline treats it.
"""


def expected(row):
    codes = " or ".join(f"`{c}`" for c in row.codes)
    if not row.labels:
        return "works; `labels_unset` and not ready as long as it shows neither"
    return {table.FOLLOWS: "works", table.FOLLOWS_SLOWER: "works, slower", table.NAMES_IT: codes, table.ASIDE: f"set aside: {codes}"}[row.must]


def to_do(row, section):
    return row.do or (table.ADVICE[row.codes[0]] if row.codes else section.do)


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def page():
    out = [HEAD]
    for section in table.SECTIONS:
        out += [f"## {section.title}", "", "| name | the endpoint | who does so | what to expect | what to do |", "|---|---|---|---|---|"]
        out += [f"| {r.name} | {cell(r.endpoint)} | {cell(r.who)} | {expected(r)} | {to_do(r, section)} |" for r in section.rows]
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    PAGE.write_text(page())
