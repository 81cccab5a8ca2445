"""Names that mean something to a database, a browser or a spreadsheet, on their whole way: text at every station."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from random import Random

import pytest
from databases import connect, own_database
from hostile import TEXTS, mutated
from html_page import Page

from ingestion.console import UserError, plain
from ingestion.settings import Settings
from ingestion.traffic.customers import load_customer_file
from serving.close import billing_timezone
from serving.invoice_texts import Texts
from serving.invoices import Format, Order, write_invoices
from serving.quote_inputs import CUSTOMER_COLUMNS

pytestmark = pytest.mark.stack

EVERYTHING = " ".join(TEXTS)
BILL = """
insert into bills (
    bill_id, customer_id, period, state, currency, subtotal, discount_total, tax_total, total, invoice, digest
) values (%s, %s, '2025-06', 'draft', 'MAD', 50, 0, 10, 60, %s, '')
"""


@pytest.fixture(scope="module")
def database(stack: Settings) -> Iterator[Settings]:
    with own_database(stack, "hostile_test") as settings:
        yield settings


def customers_file(folder: Path, rows: list[tuple[str, str]]) -> Path:
    """Write a customers file of these ids and names; every other text is the name too."""
    file = folder / "customers.csv"
    with file.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(CUSTOMER_COLUMNS)
        for number, (customer_id, name) in enumerate(rows):
            row = (customer_id, 212612000001 + number, name, "postpaid", "consumer", name, "active", name, "2024-01-01")
            writer.writerow((*row, "", ""))
    return file


def test_customers_arrive_in_postgresql_as_they_are(database: Settings, tmp_path: Path) -> None:
    rows = [(text, text) for text in (*TEXTS, EVERYTHING)]
    file = customers_file(tmp_path, rows)
    assert load_customer_file(database, file) == (len(rows), len(rows))
    assert load_customer_file(database, file) == (len(rows), 0)
    with connect(database) as connection:
        found = connection.execute("select customer_id, customer_name, rate_plan_id, region from customers").fetchall()
        assert sorted(found) == sorted((text, text, text, text) for text, _ in rows)
        connection.execute("delete from customers")


def test_a_spoilt_customers_file_is_loaded_or_refused_as_a_whole(database: Settings, tmp_path: Path) -> None:
    file, random = customers_file(tmp_path, [("C1", "Amal"), ("C2", "Badr")]), Random(3)
    whole = file.read_bytes()
    outcomes = set()
    for _ in range(150):
        file.write_bytes(mutated(random, whole))
        try:
            load_customer_file(database, file)
            outcomes.add("loaded")
        except UserError as fault:
            assert str(file) in str(fault)
            outcomes.add("refused")
    assert outcomes == {"loaded", "refused"}
    with connect(database) as connection:
        connection.execute("delete from customers")


def test_invoices_of_hostile_customers_are_harmless_documents(database: Settings, tmp_path: Path) -> None:
    golden = Path(__file__).parents[2] / "fixtures/billing/GOLD2-2025-06.json"
    texts = [*TEXTS, EVERYTHING[:200]]
    load_customer_file(database, customers_file(tmp_path, [(f"C{n}", text) for n, text in enumerate(texts)]))
    with connect(database) as connection:
        for number, text in enumerate(texts):
            invoice = json.loads(golden.read_text())
            invoice["billingAccount"]["name"] = invoice["subscription"]["ratePlan"] = text
            # the id of a bill names its file
            connection.execute(BILL, (f"../{text}/{number}", f"C{number}", json.dumps(invoice)))
    for form in Format:
        order = Order(tmp_path / form, form, Texts("en"), billing_timezone())
        assert write_invoices(database, date(2025, 6, 1), order, ["C16"] if form is Format.PDF else [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["customers.csv", "html", "json", "pdf"]
    documents = sorted((tmp_path / "json").iterdir())
    assert {json.loads(path.read_text())["billingAccount"]["name"] for path in documents} == set(texts)
    shapes = set()
    for path in (tmp_path / "html").iterdir():
        page = Page(path.read_text(encoding="utf-8"))
        shapes.add(tuple(page.shape))
        assert plain(page.text) == page.text
    assert len(shapes) == 1
