"""The report as a page: figures in, HTML out. Nothing here asks a server."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from markupsafe import Markup, escape

from ingestion.console import plain
from serving import charts
from serving.pages import page_environment
from serving.report_data import Bills, Customer, Report, Usage

MEDIATION = ("normal", "duplicate", "error")
RATING = ("rated", "rejected", "unmatched", "error")
SERVICES = ("voice", "sms", "data")
SERVICE_NAMES = {"voice": "Voice", "sms": "SMS", "data": "Data"}
PSEUDONYM_DIGITS = 12
SHOWN_BARS = 10

# ISO 4217: the currencies whose minor unit is not a hundredth
DIGITLESS = {
    "BIF",
    "CLP",
    "DJF",
    "GNF",
    "ISK",
    "JPY",
    "KMF",
    "KRW",
    "PYG",
    "RWF",
    "UGX",
    "VND",
    "VUV",
    "XAF",
    "XOF",
    "XPF",
}
THREE_DIGITS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


@dataclass(frozen=True)
class Part:
    """One part of a stage of the funnel: `tone` names its colour, `share` is its percent of the stage."""

    label: str
    tone: str
    records: int
    share: float
    span: charts.Span


@dataclass(frozen=True)
class Stage:
    """A row of the funnel, which lies below the first part of the row before."""

    title: str
    records: int
    parts: list[Part]


@dataclass(frozen=True)
class Bar:
    """A row of a table with a bar: `width` in percent of the longest, `share` in percent of all."""

    label: str
    records: int
    width: float
    share: float
    amount: Decimal | None = None
    note: str = ""


@dataclass(frozen=True)
class Revenue:
    """What rated usage comes to in one currency, split three ways."""

    currency: str
    cost: Decimal
    records: int
    splits: list[tuple[str, list[Bar]]]


@dataclass(frozen=True)
class Traffic:
    """Records by local hour and service: one column an hour, `top` is the end of the axis."""

    timezone: str
    top: int
    services: list[str]
    hours: list[dict[str, int]]
    stacks: list[dict[str, charts.Span]]
    busiest: int


def render(report: Report) -> str:
    """Return the page of a report: one HTML text that needs nothing else."""
    environment = page_environment()
    environment.filters |= {
        "count": count,
        "share": share,
        "money": money,
        "moment": moment,
        "words": words,
        "breakable": breakable,
    }
    currencies = sorted({row.currency for row in report.usage if row.currency and row.status == "rated"})
    view: dict[str, Any] = {
        "report": report,
        "received": sum(part.records for part in report.landed),
        "rated": _total(report.usage, "rated"),
        "stages": funnel(report),
        "error_reasons": _reasons(report),
        "unrated": _unrated(report),
        "traffic": traffic(report),
        "revenues": [revenue(report, currency) for currency in currencies],
        "billed": _billed(report.bills),
        "customers": _by_currency(report.customers),
        "broken": [equation for equation in report.equations if equation.broken],
        "pseudonym_digits": PSEUDONYM_DIGITS,
        "shown_bars": SHOWN_BARS,
        "service_names": SERVICE_NAMES,
        "facts": facts(report),
    }
    return environment.get_template("report.html.j2").render(view)


def funnel(report: Report) -> list[Stage]:
    """Return the way of the records from their arrival to the bills, one stage below the other."""
    landed: dict[str, int] = defaultdict(int)
    for row in report.landed:
        landed[row.status] += row.records
    rating = {status: _total(report.usage, status) for status in RATING}
    purged = landed.pop("purged", 0)
    landed["normal"] += purged
    received, normal, rated = sum(landed.values()), landed["normal"], rating["rated"]
    waiting = max(normal - purged - sum(rating.values()), 0)
    on_bills = min(report.records_on_bills, rated)
    stages = [
        ("Received", received, [("received", "plain", received)]),
        ("Mediation", received, [(status, status, landed[status]) for status in MEDIATION]),
        (
            "Rating",
            normal,
            [(status, status, rating[status]) for status in RATING]
            + [(label, "plain", n) for label, n in (("not rated yet", waiting), ("purged", purged)) if n],
        ),
        ("Billing", rated, [("on bills", "billed", on_bills), ("prepaid, never billed", "prepaid", rated - on_bills)]),
    ]
    return [_stage(title, whole, parts, received) for title, whole, parts in stages]


def _stage(title: str, whole: int, parts: list[tuple[str, str, int]], received: int) -> Stage:
    spans = charts.side_by_side([records for _, _, records in parts], received)
    return Stage(
        title,
        whole,
        [
            Part(label, tone, records, charts.percent(records, whole), span)
            for (label, tone, records), span in zip(parts, spans, strict=True)
        ],
    )


def traffic(report: Report) -> Traffic:
    """Return the normal records by hour of the day and service."""
    hours: list[dict[str, int]] = [defaultdict(int) for _ in range(24)]
    for row in report.usage:
        hours[row.hour][row.service] += row.records
    services = [service for service in SERVICES if any(hour.get(service) for hour in hours)]
    totals = [sum(hour.values()) for hour in hours]
    top = charts.axis_top(max(totals))
    return Traffic(
        report.timezone,
        top,
        services,
        [dict(hour) for hour in hours],
        charts.stacked(hours, services, top),
        totals.index(max(totals)),
    )


def revenue(report: Report, currency: str) -> Revenue:
    """Return what the rated usage of one currency costs, by service, zone and plan."""
    rows = [row for row in report.usage if row.status == "rated" and row.currency == currency]
    return Revenue(
        currency,
        sum((row.cost for row in rows), Decimal(0)),
        sum(row.records for row in rows),
        [
            ("Service", _split(rows, lambda row: SERVICE_NAMES.get(row.service, row.service))),
            ("Zone", _split(rows, lambda row: words(row.zone or "no zone"))),
            ("Plan", _split(rows, lambda row: report.plan_names.get(row.plan or "", row.plan or "no plan"))),
        ],
    )


def _split(rows: list[Usage], label: Callable[[Usage], str]) -> list[Bar]:
    costs: dict[str, Decimal] = defaultdict(Decimal)
    records: dict[str, int] = defaultdict(int)
    for row in rows:
        costs[label(row)] += row.cost
        records[label(row)] += row.records
    whole, longest = sum(costs.values(), Decimal(0)), max(costs.values(), default=Decimal(0))
    return [
        Bar(
            name,
            records[name],
            charts.visible(charts.percent(cost, longest)),
            charts.percent(cost, whole),
            amount=cost,
        )
        for name, cost in sorted(costs.items(), key=lambda item: (-item[1], item[0]))
    ]


def _reasons(report: Report) -> list[Bar]:
    """Return how often each reason was found; the share is of the error records, which may have several reasons."""
    errors = sum(row.records for row in report.landed if row.status == "error")
    return _bars([(reason, "", records) for reason, records in report.error_reasons.items()], errors)


def _unrated(report: Report) -> list[Bar]:
    found: dict[tuple[str, str], int] = defaultdict(int)
    for row in report.usage:
        if row.status != "rated":
            found[row.reason or "", row.status] += row.records
    return _bars([(reason, status, records) for (reason, status), records in found.items()], sum(found.values()))


def _bars(rows: list[tuple[str, str, int]], whole: int) -> list[Bar]:
    longest = max((records for _, _, records in rows), default=0)
    return [
        Bar(label, records, charts.visible(charts.percent(records, longest)), charts.percent(records, whole), note=note)
        for label, note, records in sorted(rows, key=lambda row: (-row[2], row[0], row[1]))
    ]


def _total(usage: list[Usage], status: str) -> int:
    return sum(row.records for row in usage if row.status == status)


def _billed(bills: list[Bills]) -> dict[str, tuple[int, Decimal]]:
    billed: dict[str, tuple[int, Decimal]] = {}
    for row in bills:
        number, total = billed.get(row.currency, (0, Decimal(0)))
        billed[row.currency] = (number + row.bills, total + row.total)
    return billed


def _by_currency(customers: list[Customer]) -> dict[str, list[Customer]]:
    found: dict[str, list[Customer]] = defaultdict(list)
    for customer in customers:
        found[customer.currency].append(customer)
    return dict(found)


def facts(report: Report) -> dict[str, str]:
    """Return the moments of the run by what happened then."""
    known = {"Report made": report.generated_at}
    if report.landed:
        known |= {
            "First message received": min(row.first_received for row in report.landed),
            "Last message received": max(row.last_received for row in report.landed),
            "Last batch landed": max(row.landed_at for row in report.landed),
        }
    if report.usage:
        known |= {
            "First usage": min(row.first_event for row in report.usage),
            "Last usage": max(row.last_event for row in report.usage),
            "Last rated": max(row.rated_at for row in report.usage),
        }
    return {name: moment(time) for name, time in known.items()}


def count(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}"


def share(value: float) -> str:
    """Write a percentage with one decimal; what is there, but less, is said to be less."""
    return "< 0.1 %" if 0 < value < 0.05 else f"{value:.1f} %"


def money(amount: Decimal, currency: str) -> str:
    """Write an amount with the digits of its currency's minor unit, half up, thousands apart."""
    digits = 0 if currency in DIGITLESS else 3 if currency in THREE_DIGITS else 2
    unit = Decimal(1).scaleb(-digits)
    return f"{amount.quantize(unit, ROUND_HALF_UP):,}"


def moment(time: datetime) -> str:
    """Write a time in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def words(name: str) -> str:
    """Write a code such as `north_america` as words."""
    return name.replace("_", " ")


def breakable(text: str) -> Markup:
    """Return a text, escaped, whose line may break after an underscore, as those of long codes must on a phone."""
    return Markup("_<wbr>").join(escape(part) for part in plain(text).split("_"))
