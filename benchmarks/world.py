"""The world that is rated, billed and exported: customers on 20 plans, 2,000 rates, 50,000 prefixes.

Some rates have two steps, three bands share the day, and every allowance is used up by some.
"""

from datetime import date
from fractions import Fraction
from typing import Any

Row = dict[str, Any]

PLANS, ZONES, BANDS = 20, 10, ("day", "evening", "night")
PREFIXES = 50_000
CUSTOMER_ROWS = """
create table customers_snapshot using delta as
select
    concat('C', id) as customer_id, cast(212600000000 + id as string) as msisdn, 'name' as customer_name,
    'postpaid' as subscription_type, if(id % 7 = 0, 'student', 'consumer') as segment,
    concat('PLAN_', id % {plans}) as rate_plan_id, 'active' as customer_status, 'Nord' as region,
    date '2024-01-01' as activation_date, cast(null as date) as termination_date,
    timestamp '2025-01-01' as updated_at, timestamp '2025-01-01' as dbt_valid_from,
    cast(null as timestamp) as dbt_valid_to
from range({customers})
"""
LANDED_ROWS = """
insert into landing.cdr
select
    timestamp '{landed_at}', 'normal', concat('record-', sha1(cast(id as string))), service,
    cast(212600000000 + abs(hash(id, 'a')) % {customers} as string),
    if(
        service = 'data', null,
        cast(if(id % 3 = 0, 1000000000000, 212600000000) + abs(hash(id, 'b')) % 90000000 as string)
    ),
    timestamp '2025-06-01' + make_dt_interval(0, 0, 0, abs(hash(id, 'c')) % (30 * 86400)),
    if(service = 'voice', abs(hash(id, 'd')) % 600, null),
    if(service = 'data', cast(abs(hash(id, 'e')) % 50000000 / 1000000BD as decimal(18,6)), null),
    if(service = 'data', concat('CITY_', abs(hash(id, 'f')) % 60, '_', id % 20), null)
from (
    select id, case when id % 10 < 6 then 'voice' when id % 10 < 9 then 'data' else 'sms' end as service
    from range({first}, {end}, 1, 2)
)
"""


def catalogue() -> dict[str, list[Row]]:
    """Return the catalogue's tables: 2,000 rates, two steps in some, three bands that share the day."""
    valid: Row = {"valid_from": date(2020, 1, 1)}
    rates: list[Row] = [
        {
            "product_rate_id": f"{plan}-{service}-{zone}-{band}-{from_unit}",
            "rate_plan_id": f"PLAN_{plan}",
            "product_id": service.upper(),
            "zone": "*" if zone == 0 else f"zone_{zone}",
            "time_band": band,
            "from_unit": from_unit,
            "unit_price": f"0.{1 + (plan + zone) % 9}",
            "unit_size": 60 if service == "voice" else 1,
            "initial_increment": 60 if service == "voice" else 1,
            "increment": (1 + plan % 6) if service == "voice" else 1,
            "connect_fee": "0.05",
            "rounding_mode": "half_up",
            "rounding_scale": 4,
        }
        | valid
        for plan in range(PLANS)
        for service, steps in (("voice", (0, 300)), ("sms", (0,)), ("data", (0,)))
        for zone in range(ZONES)
        for band in (BANDS if service == "voice" else ("*",))
        for from_unit in steps
    ]
    rates += [
        dict(rates[number], product_rate_id=f"past-{number}", valid_from=date(2019, 1, 1), valid_to=date(2020, 1, 1))
        for number in range(2000 - len(rates))
    ]
    hours = zip(BANDS, ("08:00", "18:00", "00:00"), ("18:00", "24:00", "08:00"), strict=True)
    tables: dict[str, list[Row]] = {
        "products": [{"product_id": name.upper(), "service_type": name} for name in ("voice", "sms", "data")],
        "rate_plans": [{"rate_plan_id": f"PLAN_{plan}", "currency": "MAD"} | valid for plan in range(PLANS)],
        "product_rates": rates,
        "destination_prefixes": [
            {"prefix": str(1_000_000 // 10 ** (n % 3) + n), "zone": f"zone_{n % ZONES}"} for n in range(PREFIXES - 1)
        ]
        + [{"prefix": "2126", "zone": "zone_1"}],
        "cell_zones": [{"cell_prefix": f"CITY_{n}_", "zone": f"zone_{n % ZONES}"} for n in range(50)],
        "time_bands": [
            {"time_band": band, "day_type": day, "starts_at": start, "ends_at": end}
            for band, start, end in hours
            for day in ("weekday", "saturday", "sunday", "holiday")
        ],
        "holidays": [{"holiday_date": date(2025, 6, 7)}],
        "promotions": [
            {
                "promotion_id": f"PROMO_{n}",
                "rate_plan_id": f"PLAN_{n}",
                "service_type": "voice",
                "zone": "*",
                "time_band": "night",
                "segment": "student",
                "discount_percent": 10,
                "priority": n,
            }
            | valid
            for n in range(PLANS)
        ],
        "customer_status_rules": [{"customer_status": "active", "ratable": True}],
    }
    return tables


def terms() -> dict[str, list[Row]]:
    """Return the tables of the catalogue that only billing reads, and the plans with their fees."""
    valid = catalogue()["rate_plans"][0]["valid_from"]
    included = {"voice": Fraction(1500), "sms": Fraction(1), "data": Fraction(60)}
    return {
        "rate_plans": [
            plan
            | {
                "rate_plan_name": f"Plan {n}",
                "monthly_fee": Fraction(49 + 10 * n),
                "minimum_spend": Fraction(100 * (n % 2)),
            }
            for n, plan in enumerate(catalogue()["rate_plans"])
        ],
        "allowances": [
            {
                "allowance_id": f"{service}-{plan}-{priority}",
                "rate_plan_id": f"PLAN_{plan}",
                "service_type": service,
                "zone": zone,
                "included_units": units,
                "rollover_units_max": units,
                "priority": priority,
                "valid_from": valid,
            }
            for plan in range(PLANS)
            for service, units in included.items()
            for priority, zone in enumerate(["*"] if service == "sms" else [f"zone_{plan % ZONES}", "*"])
        ],
        "discounts": [
            {
                "discount_id": f"{kind}-{segment}",
                "discount_name": f"{kind} {segment}",
                "rate_plan_id": "*",
                "segment": segment,
                "kind": kind,
                "value": Fraction(value),
                "minimum_subtotal": Fraction(100),
                "priority": 1,
                "valid_from": valid,
            }
            for segment, kind, value in (("student", "percent", 10), ("*", "percent", 5), ("*", "fixed", 3))
        ],
        "tax_rates": [
            {
                "tax_id": tax,
                "tax_name": tax,
                "applies_to": "*",
                "region": region,
                "percent": Fraction(percent),
                "valid_from": valid,
            }
            for tax, region, percent in (("TVA", "*", 20), ("NORD", "Nord", 14))
        ],
    }
