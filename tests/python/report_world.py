"""Reports to draw: a day's figures of a small operator, made by arithmetic alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import cos, pi

from serving.report_data import Bills, Customer, Equation, Landed, Month, Report, Usage

NOON = datetime(2025, 6, 13, 12, tzinfo=UTC)
ZONES = {
    "voice": ("on_net", "off_net", "europe"),
    "sms": ("on_net", "off_net", "premium_sms"),
    "data": ("home", "europe"),
}
PLANS = {"PREPAID_SALAM": "Salam prepaid", "POSTPAID_START": "Start", "BUSINESS_PRO": "Business Pro"}


def small_operator() -> Report:
    """A report in which every section has something to show."""
    usage = [
        Usage(hour, service, zone, plan, "rated", None, "MAD", records, records * Decimal("0.357"), NOON, NOON, NOON)
        for hour in range(24)
        for service, zones in ZONES.items()
        for z, zone in enumerate(zones)
        for p, plan in enumerate(PLANS)
        if (records := round((14 - 10 * cos((hour - 3) / 12 * pi)) * (6 - 2 * z) / (1 + p)))
    ]
    usage += [unrated("rejected", "CUSTOMER_SUSPENDED", 140), unrated("unmatched", "NO_CUSTOMER", 210)]
    usage += [unrated("error", "NO_RATE", 12), unrated("error", "NO_ZONE", 3)]
    normal = sum(row.records for row in usage)
    rated = sum(row.records for row in usage if row.status == "rated")
    return Report(
        generated_at=NOON + timedelta(hours=2),
        timezone="Africa/Casablanca",
        landed=[
            Landed(status, records, NOON, NOON, NOON)
            for status, records in {"normal": normal, "error": 173, "duplicate": 88}.items()
        ],
        error_reasons={
            "MALFORMED_JSON": 61,
            "MISSING_CALLER_ID": 52,
            "INVALID_TIMESTAMP": 43,
            "INVALID_DURATION_SEC": 21,
        },
        usage=usage,
        records_on_bills=rated * 2 // 5,
        bills=[bills("2025-05", "final", 212), bills("2025-06", "draft", 230)],
        customers=[
            Customer(
                "MAD", f"{place * 7919:064x}"[::-1], "consumer", "POSTPAID_START", 90 - place, Decimal(500 - 31 * place)
            )
            for place in range(10)
        ],
        plan_names=PLANS,
        months=[month("2025-05", Decimal(0)), month("2025-06", Decimal("0.01"))],
        equations=[
            Equation("received = normal + error + duplicate", 31, "days"),
            Equation("PostgreSQL = Spark", 31, "days", ("2025-06-02: +12 rows",)),
        ],
    )


def month(name: str, difference: Decimal) -> Month:
    """A month of which a quarter is prepaid, a quarter included, and the rest billed."""
    half, quarter = Decimal("4100.50"), Decimal("2050.25")
    return Month(name, "MAD", 2 * half + difference, Decimal(0), quarter, quarter, half, Decimal(0), difference)


def unrated(status: str, reason: str, records: int) -> Usage:
    """Usage without a price."""
    return Usage(9, "voice", None, None, status, reason, None, records, Decimal(0), NOON, NOON, NOON)


def bills(period: str, state: str, number: int) -> Bills:
    """The bills of a month that come to 40 a bill, less 10 %, and 20 % tax."""
    subtotal = Decimal(40 * number)
    discount, tax = subtotal / 10, subtotal * 9 / 50
    return Bills(period, state, "MAD", number, subtotal, discount, tax, subtotal - discount + tax)
