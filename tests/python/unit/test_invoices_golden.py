"""Golden invoices as people read them: the words and figures of the page, line by line, in both languages.

The bills are those that tests/python/spark/test_billing_models.py has the models make. A page that is meant to read
otherwise gets its new text in tests/fixtures/billing; the file's difference is what to look at.
"""

import html as markup
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from serving import invoice_document
from serving.invoice_document import Bill, Usage, html
from serving.invoice_texts import Texts

GOLDEN = Path(__file__).resolve().parents[2] / "fixtures" / "billing"
USAGE = {
    "GOLD1-2025-06": [
        Usage("voice", datetime(2025, 6, 1, 12, tzinfo=UTC), "212633140289", "on_net", Decimal(400), Decimal("4.00")),
        Usage("voice", datetime(2025, 6, 2, 12, tzinfo=UTC), "212633140289", "on_net", Decimal(300), Decimal("2.70")),
        Usage("voice", datetime(2025, 6, 3, 12, tzinfo=UTC), "212633140289", "on_net", Decimal(60), Decimal("0.70")),
        Usage("sms", datetime(2025, 6, 4, 12, tzinfo=UTC), "212633140289", "on_net", Decimal(1), Decimal("0.50")),
        Usage("sms", datetime(2025, 6, 5, 12, tzinfo=UTC), "212633140289", "on_net", Decimal(1), Decimal("0.50")),
    ],
}

OPERATOR = {
    "name": "Golden Mobile",
    "address": ["1, rue des Essais", "Casablanca"],
    "service": "+212 5 00 00 00 00",
    "website": "golden.example",
    "registration": "RC 1",
}


def as_read(page: str) -> str:
    """The text of a page: a line a row or paragraph, its cells apart, no-break spaces as spaces."""
    body = page[page.index("<body>") :]
    body = re.sub(r"\s+", " ", body)
    body = re.sub(r"</t[hd]> *(?=<t[hd])", " | ", body)
    body = re.sub(r"</(tr|p|h\d)>|<br>", "\n", body)
    text = markup.unescape(re.sub(r"<[^>]*>", "", body)).replace("\u00a0", " ").replace("\u202f", " ")
    return "".join(f"{' '.join(line.split())}\n" for line in text.splitlines() if line.strip(" |"))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("bill_id", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_a_golden_invoice_reads_as_it_did(monkeypatch: pytest.MonkeyPatch, bill_id: str, language: str) -> None:
    monkeypatch.setattr(invoice_document, "_operator", lambda: OPERATOR)
    bill = Bill(bill_id, "final", (GOLDEN / f"{bill_id}.json").read_text(encoding="utf-8"), USAGE.get(bill_id, []))
    page = html(bill, Texts(language), ZoneInfo("Africa/Casablanca"))
    assert as_read(page) == (GOLDEN / f"{bill_id}.{language}.txt").read_text(encoding="utf-8")
