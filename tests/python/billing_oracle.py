"""Bills by hand: section 5 of the contract in plain Python, day by day and record by record, in exact fractions.

Written from the contract, not from the models, so that a fault has to be made twice to go unseen. Slow on purpose.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Africa/Casablanca")
DIGITS = {"JPY": 0, "TND": 3}
SERVICES = ("voice", "sms", "data")

Row = dict[str, Any]
LineKey = tuple[str, str, str | None, str | None, str | None]  # kind, usage month, service, zone, plan name


@dataclass
class Line:
    """One line of a bill; amounts in the currency's unit."""

    kind: str
    usage_month: str
    amount: Fraction
    service: str | None = None
    zone: str | None = None
    plan_name: str | None = None
    quantity: Fraction = Fraction(0)
    tax_percent: Fraction = Fraction(0)
    discount: Fraction = Fraction(0)
    tax: Fraction = Fraction(0)

    @property
    def key(self) -> LineKey:
        return (self.kind, self.usage_month, self.service, self.zone, self.plan_name)

    @property
    def total(self) -> Fraction:
        return self.amount - self.discount + self.tax


@dataclass
class Bill:
    """A customer's month in one currency."""

    customer_id: str
    period: str
    currency: str
    lines: list[Line] = field(default_factory=list)
    discounts: list[tuple[str, Fraction]] = field(default_factory=list)


@dataclass
class World:
    """Everything that bills depend on: tables as rows, numbers as Fractions, validity as dates."""

    customers: list[Row]
    usage: list[Row]
    rate_plans: list[Row]
    allowances: list[Row]
    discounts: list[Row]
    tax_rates: list[Row]
    promotions: list[Row]
    closed_months: list[date] = field(default_factory=list)
    final_lines: list[Row] = field(default_factory=list)
    timezone: ZoneInfo = ZONE


def half_up(value: Fraction, digits: int) -> Fraction:
    """Round half away from zero to `digits` decimals."""
    units = abs(value) * 10**digits
    whole = (2 * units.numerator + units.denominator) // (2 * units.denominator)
    return Fraction(whole if value >= 0 else -whole, 10**digits)


def next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def last_month(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def days_of(month: date) -> Iterator[date]:
    day = month
    while day < next_month(month):
        yield day
        day += timedelta(days=1)


def holds(row: Row, day: date) -> bool:
    return row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])


def fits(pattern: str, value: str | None) -> bool:
    return pattern in ("*", value)


class Biller:
    """Bills every open month of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.versions: dict[str, list[Row]] = defaultdict(list)
        for version in sorted(world.customers, key=lambda row: row["valid_from"]):
            self.versions[version["customer_id"]].append(version)
        self.usage: dict[tuple[str, date], list[Row]] = defaultdict(list)
        for record in sorted(world.usage, key=lambda row: (row["event_time"], row["record_id"])):
            if record["rating_status"] == "rated" and record["subscription_type"] == "postpaid":
                self.usage[record["customer_id"], self.month_of(record)].append(record)
        self.closed_through = max(world.closed_months, default=None)
        self.months = sorted({self.month_of(record) for record in world.usage})
        self.covered: dict[str, Fraction] = {}
        self.paid: dict[str, Fraction] = {}

    def month_of(self, record: Row) -> date:
        day: date = record["event_time"].astimezone(self.world.timezone).date()
        return day.replace(day=1)

    def is_closed(self, month: date) -> bool:
        return self.closed_through is not None and month <= self.closed_through

    def version_on(self, customer_id: str, day: date) -> Row | None:
        """The version at the end of a day."""
        end = datetime.combine(day + timedelta(days=1), time(), self.world.timezone)
        known = [version for version in self.versions[customer_id] if version["valid_from"] < end]
        return known[-1] if known else None

    def plan_on(self, customer_id: str, day: date) -> Row | None:
        """The plan that a postpaid customer has on a day, None where the day is not one of the customer's days."""
        version = self.version_on(customer_id, day)
        if version is None or version["subscription_type"] != "postpaid" or version["activation_date"] is None:
            return None
        ends = [version["termination_date"], self.versions[customer_id][-1]["termination_date"]]
        if day < version["activation_date"] or any(end is not None and day >= end for end in ends):
            return None
        plans = [p for p in self.world.rate_plans if p["rate_plan_id"] == version["rate_plan_id"] and holds(p, day)]
        return plans[0] if plans else None

    # 1. allowances
    def allowance_of(self, record: Row) -> Row | None:
        day = record["event_time"].astimezone(self.world.timezone).date()
        matching = [
            a
            for a in self.world.allowances
            if fits(a["rate_plan_id"], record["rate_plan_id"])
            and fits(a["service_type"], record["record_type"])
            and fits(a["zone"], record["zone"])
            and holds(a, day)
        ]
        return min(matching, key=lambda a: (a["priority"], a["allowance_id"]), default=None)

    def included(self, customer_id: str, allowance: Row, month: date) -> Fraction:
        """The month's own units: by the days on which the customer has a plan with this allowance."""
        days = list(days_of(month))
        entitled = 0
        for day in days:
            plan = self.plan_on(customer_id, day)
            if plan and fits(allowance["rate_plan_id"], plan["rate_plan_id"]) and holds(allowance, day):
                entitled += 1
        return allowance["included_units"] * Fraction(entitled, len(days))

    def rolled_over(self, customer_id: str, allowance: Row, month: date) -> Fraction:
        """What the month before left of its own units, oldest units being used up first."""
        before = last_month(month)
        own = self.included(customer_id, allowance, before)
        if own == 0:
            return Fraction(0)
        used = sum(
            (r["billed_units"] for r in self.usage[customer_id, before] if self.allowance_of(r) is allowance),
            Fraction(0),
        )
        left = own if used == 0 else own - max(Fraction(0), used - self.rolled_over(customer_id, allowance, before))
        return max(Fraction(0), min(left, allowance["rollover_units_max"]))

    def price(self, customer_id: str, month: date) -> None:
        """Set what each record of a customer's month pays after the allowances."""
        left: dict[str, Fraction] = {}
        promotions = {p["promotion_id"]: p for p in self.world.promotions}
        for record in self.usage[customer_id, month]:
            key, units = record["record_id"], record["billed_units"]
            self.paid[key], self.covered[key] = record["cost"], Fraction(0)
            allowance = self.allowance_of(record)
            if allowance is None:
                continue
            name = allowance["allowance_id"]
            if name not in left:
                left[name] = self.included(customer_id, allowance, month) + self.rolled_over(
                    customer_id, allowance, month
                )
            covered = min(units, left[name])
            left[name] -= covered
            self.covered[key] = covered
            if covered == units and units > 0:
                self.paid[key] = Fraction(0)
            elif covered > 0:
                promotion = promotions.get(record["promotion_id"])
                percent = promotion["discount_percent"] if promotion else Fraction(0)
                uncovered = record["usage_charge"] * (units - covered) / units
                self.paid[key] = half_up(uncovered * (100 - percent) / 100, 6)

    def usage_lines(self, customer_id: str, month: date) -> dict[tuple[str, str, str | None], Line]:
        """A line a currency, service and zone of a customer's month."""
        self.price(customer_id, month)
        lines: dict[tuple[str, str, str | None], Line] = {}
        for record in self.usage[customer_id, month]:
            key = (record["currency"], record["record_type"], record["zone"])
            line = lines.setdefault(key, Line("usage", f"{month:%Y-%m}", Fraction(0), key[1], key[2]))
            line.amount += self.paid[record["record_id"]]
            line.quantity += record["quantity"]
        for (currency, *_), line in lines.items():
            line.amount = half_up(line.amount, DIGITS.get(currency, 2))
        return lines

    # 2. and 3. fees and minimum spend
    def recurring_lines(self, customer_id: str, month: date, spent: dict[str, Fraction]) -> dict[str, list[Line]]:
        """Fee and minimum-spend lines by currency; `spent` is the usage of the month by currency."""
        length = len(list(days_of(month)))
        plans: dict[tuple[str, date], tuple[Row, int]] = {}
        for day in days_of(month):
            if plan := self.plan_on(customer_id, day):
                key = (plan["rate_plan_id"], plan["valid_from"])
                plans[key] = (plan, plans.get(key, (plan, 0))[1] + 1)
        lines: dict[str, list[Line]] = defaultdict(list)
        minimum: dict[str, tuple[Fraction, int]] = {}
        for plan, days in plans.values():
            currency, share = plan["currency"], Fraction(days, length)
            if plan["monthly_fee"] > 0:
                fee = half_up(plan["monthly_fee"] * share, DIGITS.get(currency, 2))
                name = plan["rate_plan_name"]
                lines[currency].append(Line("fee", f"{month:%Y-%m}", fee, plan_name=name, quantity=Fraction(days)))
            if plan["minimum_spend"] > 0:
                before, days_before = minimum.get(currency, (Fraction(0), 0))
                minimum[currency] = (before + plan["minimum_spend"] * share, days_before + days)
        for currency, (exact, days) in minimum.items():
            if currency not in spent and not lines[currency]:
                continue
            so_far = spent.get(currency, Fraction(0)) + sum((line.amount for line in lines[currency]), Fraction(0))
            lack = half_up(exact, DIGITS.get(currency, 2)) - so_far
            if lack > 0:
                lines[currency].append(Line("minimum_spend", f"{month:%Y-%m}", lack, quantity=Fraction(days)))
        return lines

    # 4. discounts
    def discount(self, bill: Bill, month: date) -> None:
        account = self.version_on(bill.customer_id, next_month(month) - timedelta(days=1))
        assert account is not None
        digits = DIGITS.get(bill.currency, 2)
        subtotal = sum((line.amount for line in bill.lines), Fraction(0))
        remaining = subtotal
        for row in sorted(
            self.world.discounts, key=lambda d: (d["kind"] != "percent", d["priority"], d["discount_id"])
        ):
            if not (
                fits(row["rate_plan_id"], account["rate_plan_id"])
                and fits(row["segment"], account["segment"])
                and holds(row, next_month(month) - timedelta(days=1))
                and subtotal >= row["minimum_subtotal"]
            ):
                continue
            off = row["value"] if row["kind"] == "fixed" else remaining * row["value"] / 100
            off = min(half_up(off, digits), remaining)
            if off > 0:
                remaining -= off
                bill.discounts.append((row["discount_id"], off))
        if remaining < subtotal:
            share_out(bill.lines, subtotal - remaining, digits)

    # 5. taxes
    def tax_percent(self, customer_id: str, service: str, month: date) -> Fraction:
        last_day = next_month(month) - timedelta(days=1)
        account = self.version_on(customer_id, last_day)
        matching = [
            tax
            for tax in self.world.tax_rates
            if fits(tax["applies_to"], service)
            and fits(tax["region"], account["region"] if account else None)
            and holds(tax, last_day)
        ]
        best = min(matching, key=lambda t: (t["applies_to"] == "*", t["region"] == "*", t["tax_id"]), default=None)
        return best["percent"] if best else Fraction(0)

    def tax(self, bill: Bill) -> None:
        for line in bill.lines:
            month = date.fromisoformat(f"{line.usage_month}-01")
            line.tax_percent = self.tax_percent(bill.customer_id, line.service or "fee", month)
            if line.kind == "adjustment":
                billed = [
                    row["tax_percent"]
                    for row in self.world.final_lines
                    if (row["customer_id"], row["usage_month"], row["service"])
                    == (bill.customer_id, line.usage_month, line.service)
                ]
                line.tax_percent = max(billed, default=line.tax_percent)
            taxed = (line.amount - line.discount) * line.tax_percent / 100
            line.tax = half_up(taxed, DIGITS.get(bill.currency, 2))

    # late and re-rated usage
    def adjustments(self) -> dict[tuple[str, str], list[Line]]:
        """Lines by customer and currency: what closed months come to now, less what they were billed."""
        now: dict[tuple[str, str, str, str, str | None], list[Fraction]] = defaultdict(lambda: [Fraction(0)] * 2)
        for customer_id, month in list(self.usage):
            if self.is_closed(month):
                for (currency, service, zone), line in self.usage_lines(customer_id, month).items():
                    entry = now[customer_id, currency, line.usage_month, service, zone]
                    now[customer_id, currency, line.usage_month, service, zone] = [
                        entry[0] + line.amount,
                        entry[1] + line.quantity,
                    ]
        for row in self.world.final_lines:
            if row["kind"] not in ("usage", "adjustment"):
                continue
            key = (row["customer_id"], row["currency"], row["usage_month"], row["service"], row["zone"])
            now[key] = [now[key][0] - row["amount"], now[key][1] - row["quantity"]]
        lines: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for (customer_id, currency, month_name, service, zone), (amount, quantity) in now.items():
            if amount or quantity:
                line = Line("adjustment", month_name, amount, service, zone, quantity=quantity)
                lines[customer_id, currency].append(line)
        return lines

    def bills(self) -> dict[tuple[str, str, str], Bill]:
        """Every bill of an open month, by customer, period and currency."""
        adjustments = self.adjustments()
        open_months = [month for month in self.months if not self.is_closed(month)]
        target = open_months[0] if open_months else None
        if adjustments and target is None:
            assert self.closed_through is not None
            target = next_month(self.closed_through)
            open_months = [target]
        bills: dict[tuple[str, str, str], Bill] = {}
        for month in open_months:
            period = f"{month:%Y-%m}"
            for customer_id in self.versions:
                lines: dict[str, list[Line]] = defaultdict(list)
                spent: dict[str, Fraction] = {}
                for (currency, *_), line in self.usage_lines(customer_id, month).items():
                    lines[currency].append(line)
                    spent[currency] = spent.get(currency, Fraction(0)) + line.amount
                if month in self.months or any(adjusted == customer_id for adjusted, _ in adjustments):
                    for currency, recurring in self.recurring_lines(customer_id, month, spent).items():
                        lines[currency] += recurring
                if month == target:
                    for (adjusted, currency), more in adjustments.items():
                        if adjusted == customer_id:
                            lines[currency] += more
                for currency, of_currency in lines.items():
                    if of_currency:
                        bill = Bill(customer_id, period, currency, in_order(of_currency))
                        self.discount(bill, month)
                        self.tax(bill)
                        bills[customer_id, period, currency] = bill
        return bills


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Lines as the bill numbers them."""
    kinds = ["usage", "fee", "minimum_spend", "adjustment"]
    return sorted(
        lines,
        key=lambda line: (
            kinds.index(line.kind),
            line.usage_month,
            SERVICES.index(line.service) if line.service else 2,
            (line.zone is not None, line.zone or ""),
            line.plan_name or "",
            line.quantity,
            line.amount,
        ),
    )


def share_out(lines: list[Line], discount: Fraction, digits: int) -> None:
    """Share a discount over lines in proportion to their amounts, to the minor unit, largest remainder first."""
    unit = Fraction(1, 10**digits)
    subtotal = sum((line.amount for line in lines), Fraction(0))
    remainders = []
    for number, line in enumerate(lines):
        exact = discount * line.amount / subtotal
        line.discount = (exact / unit).__floor__() * unit
        remainders.append((-(exact - line.discount), number))
    left = int((discount - sum((line.discount for line in lines), Fraction(0))) / unit)
    for _, number in sorted(remainders)[:left]:
        lines[number].discount += unit
