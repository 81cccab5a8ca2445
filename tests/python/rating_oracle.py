"""What contract.md §4 says, in plain Python and exact fractions, pulse by pulse: the judge of the SQL, not its twin.

It walks through every pulse of a record and asks for the rate at the moment at which the pulse begins. Nothing in it is
prepared, merged or summed in closed form, so that an error of the SQL's preparation cannot be its own error too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from zoneinfo import ZoneInfo

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class ProductRate:
    """A row of `product_rates`; `service_type` is that of its product."""

    product_rate_id: str
    rate_plan_id: str
    product_id: str
    service_type: str
    zone: str
    time_band: str
    from_unit: Fraction
    unit_price: Fraction
    unit_size: Fraction
    initial_increment: Fraction
    increment: Fraction
    connect_fee: Fraction
    max_charge: Fraction | None
    rounding_mode: str
    rounding_scale: int
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class Promotion:
    """A row of `promotions`."""

    promotion_id: str
    rate_plan_id: str | None
    service_type: str | None
    zone: str | None
    time_band: str | None
    segment: str | None
    discount_percent: Fraction
    priority: int
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class TimeBand:
    """A row of `time_bands`; times are `HH:MM`."""

    time_band: str
    day_type: str
    starts_at: str
    ends_at: str


@dataclass(frozen=True)
class RatePlan:
    """A row of `rate_plans`, as far as rating reads it."""

    rate_plan_id: str
    currency: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class Catalogue:
    """The catalogue's tables, as far as rating reads them."""

    timezone: str
    rates: Sequence[ProductRate]
    plans: Sequence[RatePlan]
    promotions: Sequence[Promotion] = ()
    bands: Sequence[TimeBand] = ()
    holidays: frozenset[date] = frozenset()
    prefixes: dict[str, str] = field(default_factory=dict)
    cell_zones: dict[str, str] = field(default_factory=dict)
    status_rules: dict[str, tuple[bool, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class CustomerVersion:
    """A customer between two changes; the first version's `changed_at` counts for nothing."""

    customer_id: str
    msisdn: str
    segment: str
    rate_plan_id: str
    customer_status: str
    activation_date: date
    termination_date: date | None
    changed_at: datetime
    changed_again_at: datetime | None = None
    is_first: bool = True


@dataclass(frozen=True)
class Usage:
    """A normal record; `quantity` is in seconds, messages or megabytes, `event_time` in UTC."""

    record_id: str
    record_type: str
    msisdn: str
    peer_msisdn: str | None
    cell_id: str | None
    event_time: datetime
    quantity: Fraction


@dataclass(frozen=True)
class Outcome:
    """What rating says of one record; money is None where it is not rated."""

    status: str
    reason: str | None = None
    customer_id: str | None = None
    zone: str | None = None
    product_id: str | None = None
    time_band: str | None = None
    billed_units: Fraction | None = None
    list_price: Fraction | None = None
    promotion_id: str | None = None
    promotion_amount: Fraction | None = None
    cost: Fraction | None = None
    currency: str | None = None
    pulses: dict[str, int] = field(default_factory=dict)
    units: dict[str, Fraction] = field(default_factory=dict)
    amounts: dict[str, Fraction] = field(default_factory=dict)


class _NoPriceError(Exception):
    """A pulse has no rate, or more than one."""


def round_money(amount: Fraction, mode: str, scale: int) -> Fraction:
    """Round `amount` to `scale` decimals: `up`, `half_up` or `down`."""
    shifted = amount * 10**scale
    whole = ceil(shifted) if mode == "up" else floor(shifted) if mode == "down" else floor(shifted + HALF)
    return Fraction(whole, 10**scale)


def _valid(valid_from: date, valid_to: date | None, day: date) -> bool:
    return valid_from <= day and (valid_to is None or day < valid_to)


def _longest(prefixes: dict[str, str], text: str | None) -> str | None:
    fitting = [prefix for prefix in prefixes if text is not None and (prefix == "*" or text.startswith(prefix))]
    return prefixes[max(fitting, key=lambda prefix: 0 if prefix == "*" else len(prefix))] if fitting else None


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def bands_at(catalogue: Catalogue, local: datetime) -> frozenset[str]:
    """Return the names of the bands that contain the local time."""
    names = ("weekday",) * 5 + ("saturday", "sunday")
    day_type = "holiday" if local.date() in catalogue.holidays else names[local.weekday()]
    second = local.hour * 3600 + local.minute * 60 + local.second
    return frozenset(
        band.time_band
        for band in catalogue.bands
        if band.day_type == day_type and _minutes(band.starts_at) * 60 <= second < _minutes(band.ends_at) * 60
    )


def _holder(catalogue: Catalogue, versions: Iterable[CustomerVersion], usage: Usage) -> CustomerVersion | None:
    zone = ZoneInfo(catalogue.timezone)
    local_day = usage.event_time.astimezone(zone).date()

    def begins(version: CustomerVersion) -> datetime:
        midnight = datetime.combine(version.activation_date, datetime.min.time(), zone).astimezone(UTC)
        return midnight if version.is_first else max(midnight, version.changed_at)

    holding = [
        version
        for version in versions
        if version.msisdn == usage.msisdn
        and version.activation_date <= local_day
        and begins(version) <= usage.event_time
        and (version.changed_again_at is None or usage.event_time < version.changed_again_at)
    ]
    return max(holding, key=begins, default=None)


def _rate_at(candidates: Sequence[ProductRate], bands: frozenset[str], zone: str | None) -> list[ProductRate]:
    """Return the steps of the one rate that applies while `bands` hold, lowest from_unit first."""
    fitting = [rate for rate in candidates if rate.time_band == "*" or rate.time_band in bands]
    if not fitting:
        raise _NoPriceError("NO_ZONE" if zone is None else "NO_RATE")
    for matches in (lambda rate: rate.zone != "*", lambda rate: rate.time_band != "*"):
        fitting = [rate for rate in fitting if matches(rate)] or fitting
    rates = {(rate.product_id, rate.zone, rate.time_band, rate.valid_from) for rate in fitting}
    if len(rates) > 1 or len({step.from_unit for step in fitting}) < len(fitting):
        raise _NoPriceError("AMBIGUOUS_RATE")
    steps = sorted(fitting, key=lambda step: step.from_unit)
    if steps[0].from_unit != 0 or not all(_can_price(step) for step in steps):
        raise _NoPriceError("NO_ZONE" if zone is None else "NO_RATE")
    return steps


def _can_price(step: ProductRate) -> bool:
    return step.unit_size > 0 and step.increment > 0 and 0 <= step.rounding_scale <= 6


def _promotion_at(
    catalogue: Catalogue, usage: Usage, customer: CustomerVersion, zone: str | None, bands: frozenset[str], day: date
) -> Promotion | None:
    matching = [
        promotion
        for promotion in catalogue.promotions
        if promotion.rate_plan_id in ("*", None, customer.rate_plan_id)
        and promotion.service_type in ("*", None, usage.record_type)
        and promotion.zone in ("*", None, zone)
        and (promotion.time_band in ("*", None) or promotion.time_band in bands)
        and promotion.segment in ("*", None, customer.segment)
        and _valid(promotion.valid_from, promotion.valid_to, day)
    ]
    return min(matching, key=lambda promotion: (promotion.priority, promotion.promotion_id), default=None)


def rate(catalogue: Catalogue, versions: Iterable[CustomerVersion], usage: Usage) -> Outcome:
    """Rate one normal record under a catalogue, as the customers were when it was made."""
    local = usage.event_time.astimezone(ZoneInfo(catalogue.timezone))
    if usage.record_type == "data":
        zone = _longest(catalogue.cell_zones, usage.cell_id) or "home"
    else:
        zone = _longest(catalogue.prefixes, usage.peer_msisdn)

    customer = _holder(catalogue, versions, usage)
    if customer is None:
        return Outcome("unmatched", "NO_CUSTOMER", zone=zone)
    ratable, reason = catalogue.status_rules.get(customer.customer_status, (True, None))
    if customer.termination_date is not None and local.date() >= customer.termination_date:
        ratable, reason = False, "CUSTOMER_TERMINATED"
    if not ratable:
        refusal = reason or f"CUSTOMER_{customer.customer_status.upper()}"
        return Outcome("rejected", refusal, customer.customer_id, zone)
    offered = [
        row
        for row in catalogue.rates
        if row.rate_plan_id == customer.rate_plan_id and row.service_type == usage.record_type
    ]
    if not offered:
        return Outcome("rejected", "SERVICE_NOT_IN_PLAN", customer.customer_id, zone)
    try:
        return _price(catalogue, usage, customer, zone, offered)
    except _NoPriceError as fault:
        return Outcome("error", str(fault), customer.customer_id, zone)


def _price(
    catalogue: Catalogue, usage: Usage, customer: CustomerVersion, zone: str | None, offered: Sequence[ProductRate]
) -> Outcome:
    day = usage.event_time.astimezone(ZoneInfo(catalogue.timezone)).date()
    plans = [
        plan
        for plan in catalogue.plans
        if plan.rate_plan_id == customer.rate_plan_id and _valid(plan.valid_from, plan.valid_to, day)
    ]
    candidates = [
        row for row in offered if plans and row.zone in ("*", zone) and _valid(row.valid_from, row.valid_to, day)
    ]
    local_at = _clock(catalogue, usage.event_time)
    bands = bands_at(catalogue, local_at(Fraction(0)))
    first = _rate_at(candidates, bands, zone)[0]

    elapsed, total = Fraction(0), Fraction(0)
    pulses: dict[str, int] = {}
    units: dict[str, Fraction] = {}
    amounts: dict[str, Fraction] = {}
    known: dict[frozenset[str], list[ProductRate]] = {}
    while elapsed < usage.quantity:
        now = bands_at(catalogue, local_at(elapsed)) if usage.record_type == "voice" else bands
        if now not in known:
            known[now] = _rate_at(candidates, now, zone)
        step = [row for row in known[now] if row.from_unit <= elapsed][-1]
        pulse = (first.initial_increment or first.increment) if elapsed == 0 else step.increment
        amount = step.unit_price * pulse / step.unit_size
        key = step.product_rate_id
        pulses[key] = pulses.get(key, 0) + 1
        units[key] = units.get(key, Fraction(0)) + pulse
        amounts[key] = amounts.get(key, Fraction(0)) + amount
        total += amount
        elapsed += pulse

    price = total + (first.connect_fee if usage.quantity else 0)
    if first.max_charge is not None:
        price = min(price, first.max_charge)
    price = round_money(price, first.rounding_mode, first.rounding_scale)
    promotion = _promotion_at(catalogue, usage, customer, zone, bands, day)
    percent = promotion.discount_percent if promotion else Fraction(0)
    taken_off = round_money(price * percent / 100, "half_up", first.rounding_scale)
    return Outcome(
        "rated",
        None,
        customer.customer_id,
        zone,
        first.product_id,
        first.time_band,
        elapsed,
        price,
        promotion.promotion_id if promotion else None,
        taken_off,
        price - taken_off,
        max(plans, key=lambda plan: plan.valid_from).currency,
        pulses,
        units,
        amounts,
    )


def _clock(catalogue: Catalogue, start: datetime) -> Callable[[Fraction], datetime]:
    """Return the function from elapsed seconds to local time; every minute of UTC is looked up once."""
    zone = ZoneInfo(catalogue.timezone)
    offsets: dict[datetime, timedelta] = {}

    def local_at(elapsed: Fraction) -> datetime:
        moment = start + timedelta(microseconds=floor(elapsed * 1_000_000))
        minute = moment.replace(second=0, microsecond=0)
        if minute not in offsets:
            offset = minute.astimezone(zone).utcoffset()
            assert offset is not None
            offsets[minute] = offset
        return moment.replace(tzinfo=None) + offsets[minute]

    return local_at
