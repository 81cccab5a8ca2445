import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hostile import TEXTS
from html_page import Page
from report_world import NOON, small_operator, unrated

from ingestion.console import plain
from serving.report_data import Customer, Equation, Landed, Report
from serving.report_page import funnel, money, render, revenue, share

HOSTILE = "<script>alert(1)</script>\"' onload=x \u202e321 & \x07"


def test_the_page_needs_nothing_from_anywhere() -> None:
    html = render(small_operator())
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert attributes.get("href", "data:,") == "data:,"
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html


def named(text: str) -> Page:
    """A page on which everything that has a name has this one."""
    world = small_operator()
    usage = [replace(row, zone=text, plan=text, reason=text) for row in world.usage]
    return Page(
        render(
            replace(
                world,
                usage=[*usage, unrated(text, text, 1)],
                error_reasons={text: 3},
                customers=[Customer("MAD", text, text, text, 1, Decimal(1))],
                plan_names={text: text},
                equations=[Equation(text, 1, text, (text,))],
                timezone=text,
            )
        )
    )


def test_hostile_names_stay_text() -> None:
    page = named(HOSTILE)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "\u202e" not in page.text
    assert "\x07" not in page.text
    assert "<script>alert(1)</script>\"' onload=x \N{REPLACEMENT CHARACTER}321 &" in page.text


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_changes_the_page_around_it(text: str) -> None:
    page = named(text)
    assert page.shape == named("x").shape
    assert " ".join(plain(text).split()) in page.text


def test_every_picture_has_words() -> None:
    page = Page(render(small_operator()))
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])


def test_an_empty_database_still_gives_a_page_that_says_so() -> None:
    page = Page(render(Report(generated_at=NOON, timezone="UTC")))
    assert "Nothing has been received yet" in page.text
    assert "svg" not in {tag for tag, _ in page.tags}


def test_what_has_landed_and_is_not_rated_yet_is_shown_as_waiting() -> None:
    landed = [Landed("normal", 7, NOON, NOON, NOON), Landed("error", 2, NOON, NOON, NOON)]
    report = Report(generated_at=NOON, timezone="UTC", landed=landed, error_reasons={"MALFORMED_JSON": 2})
    waiting = [(part.label, part.records) for part in funnel(report)[2].parts if part.records]
    assert waiting == [("not rated yet", 7)]
    text = Page(render(report)).text
    assert "No usage has been rated yet." in text
    assert "No bill has been made yet." in text
    assert "No control totals yet" in text


def test_the_funnel_loses_nobody() -> None:
    stages = funnel(small_operator())
    for above, below in pairwise(stages):
        assert sum(part.records for part in below.parts) == below.records
        assert below.records == above.parts[0].records
        length = sum(part.span.size for part in below.parts)
        assert length == pytest.approx(above.parts[0].span.size, abs=0.5)


def test_revenue_is_split_without_losing_a_cent() -> None:
    report = small_operator()
    whole = revenue(report, "MAD")
    assert whole.cost == sum(row.cost for row in report.usage)
    for _, bars in whole.splits:
        assert sum(bar.amount or 0 for bar in bars) == whole.cost
        assert bars == sorted(bars, key=lambda bar: -(bar.amount or 0))


def test_the_tail_of_a_long_table_is_folded_away_not_dropped() -> None:
    reasons = {f"INVALID_FIELD_{number:02d}": 50 - number for number in range(13)}
    page = Page(render(replace(small_operator(), error_reasons=reasons)))
    assert "3 more" in page.text
    assert [reason for reason in reasons if reason not in page.text] == []


def test_currencies_are_never_added_up() -> None:
    world = small_operator()
    dinars = [replace(row, currency="TND", cost=Decimal("0.0005")) for row in world.usage[:2]]
    page = Page(render(replace(world, usage=[*world.usage, *dinars])))
    assert "Revenue in MAD" in page.text
    assert "Revenue in TND 0.001 TND for" in page.text


def test_an_equation_is_told_by_word_and_place_not_by_colour_alone() -> None:
    broken = tuple(f"2025-06-{day:02d}: 1" for day in range(1, 8))
    page = Page(
        render(
            replace(small_operator(), equations=[Equation("a = b", 3, "days"), Equation("c = d", 30, "days", broken)])
        )
    )
    assert "✓ holds a = b days: 3" in page.text
    assert "✗ broken c = d days: 30 2025-06-01: 1" in page.text
    assert "and 2 more" in page.text
    assert "✗ 1 of 2 equations do not hold" in page.text
    assert (
        "✓ All 2 equations hold"
        in Page(
            render(replace(small_operator(), equations=[Equation("a = b", 3, "days"), Equation("c = d", 1, "days")]))
        ).text
    )


def test_a_pseudonym_is_cut_and_nothing_else_names_the_customer() -> None:
    report = small_operator()
    html = render(report)
    for customer in report.customers:
        assert customer.subscriber[:12] in html
        assert customer.subscriber[:13] not in html


def test_the_same_figures_give_the_same_page() -> None:
    assert render(small_operator()) == render(small_operator())


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [("1234.005", "MAD", "1,234.01"), ("-0.5", "JPY", "-1"), ("2.0005", "TND", "2.001"), ("0", "MAD", "0.00")],
)
def test_money_is_written_to_the_minor_unit(amount: str, currency: str, text: str) -> None:
    assert money(Decimal(amount), currency) == text


def test_a_share_that_rounds_to_nothing_is_not_nothing() -> None:
    assert share(0.04) == "< 0.1 %"
    assert share(0) == "0.0 %"


def test_plain_keeps_every_letter_of_every_script() -> None:
    assert plain("Forfait d'été — رصيد") == "Forfait d'été — رصيد"


def test_dark_and_light_are_readable() -> None:
    """Text has a contrast of 4.5 to 1, coloured shapes have 3 to 1 (WCAG 2.2 AA)."""
    css = (Path(__file__).parents[3] / "serving/templates/report.css").read_text()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in css.split("@media", 2)[:2])
    assert light.keys() == dark.keys()
    for colours in (light, dark):
        for ground in ("card", "page"):
            assert contrast(colours["ink"], colours[ground]) >= 7
            assert contrast(colours["soft"], colours[ground]) >= 4.5
        for shape in ("blue", "orange", "teal", "grey", "red", "amber", "violet", "green"):
            assert contrast(colours[shape], colours["card"]) >= 3
        for word in ("green", "red"):
            assert contrast(colours[word], colours["card"]) >= 4.5
            assert contrast(colours[word], colours[f"{word}-soft"]) >= 4.5


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_times_are_told_in_utc() -> None:
    report = replace(small_operator(), generated_at=datetime(2025, 6, 30, 23, 59, tzinfo=UTC))
    assert "2025-06-30 23:59 UTC" in Page(render(report)).text
