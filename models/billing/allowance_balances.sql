{%- set parts = unit_parts() -%}

with

allowances as (

    select * from {{ ref('stg_catalogue__allowances') }}

),

plan_days as (

    select * from {{ ref('int_billing__plan_days') }}

),

usage as (

    select * from {{ ref('int_billing__postpaid_usage') }}
    where allowance_id is not null

),

entitled as (

    select
        plan_days.customer_id,
        plan_days.month,
        allowances.allowance_id,
        allowances.included_units * cast(
            datediff(
                least(plan_days.end_day, allowances.valid_to),
                greatest(plan_days.first_day, allowances.valid_from)
            ) * ({{ parts }} div plan_days.days_in_month) as decimal(8, 0)
        ) as included_parts,
        cast(0 as decimal(18, 6)) as used_units
    from plan_days
    inner join allowances
        on allowances.rate_plan_id in (plan_days.rate_plan_id, '*')
        and plan_days.end_day > allowances.valid_from
        and coalesce(plan_days.first_day < allowances.valid_to, true)

),

used as (

    select
        customer_id,
        month,
        allowance_id,
        cast(0 as decimal(27, 6)) as included_parts,
        billed_units as used_units
    from usage

),

-- the usage of the last purged month is gone; what it left stands for all that was granted and used until then
purged as (

    select
        customer_id,
        cast(month as date) as month,
        allowance_id,
        unused_parts as included_parts,
        cast(0 as decimal(18, 6)) as used_units
    from {{ source('billing_control', 'purged_balances') }}

),

granted_and_used as (

    select * from entitled
    where month > (select coalesce(max(purged.month), date '0001-01-01') from purged)
    union all
    select * from used
    where month > (select coalesce(max(purged.month), date '0001-01-01') from purged)
    union all
    select * from purged

),

months as (

    select
        customer_id,
        allowance_id,
        month,
        cast(sum(included_parts) as decimal(38, 6)) as included_parts,
        cast(
            cast(sum(used_units) as decimal(32, 6)) * cast({{ parts }} as decimal(6, 0)) as decimal(38, 6)
        ) as used_parts
    from granted_and_used
    group by customer_id, allowance_id, month

),

-- month after month: what the month's own units had left, at most rollover_units_max, is there in the next one only,
-- and is used up before that month's own
chained as (

    select
        months.customer_id,
        months.allowance_id,
        aggregate(
            array_sort(collect_list(struct(months.month, months.included_parts, months.used_parts))),
            cast(array() as array<struct<
                month: date,
                included: decimal(38, 6),
                rolled_over: decimal(38, 6),
                used: decimal(38, 6),
                unused: decimal(38, 6)
            >>),
            (chain, m) -> concat(chain, transform(
                array(
                    cast(if(
                        get(chain, size(chain) - 1).month = add_months(m.month, -1),
                        least(
                            get(chain, size(chain) - 1).unused,
                            any_value(allowances.rollover_units_max) * cast({{ parts }} as decimal(6, 0))
                        ),
                        0
                    ) as decimal(38, 6))
                ),
                rolled_over -> struct(
                    m.month as month,
                    m.included_parts as included,
                    rolled_over as rolled_over,
                    m.used_parts as used,
                    cast(
                        greatest(0, least(m.included_parts, m.included_parts + rolled_over - m.used_parts))
                        as decimal(38, 6)
                    ) as unused
                )
            ))
        ) as chain
    from months
    inner join allowances on months.allowance_id = allowances.allowance_id
    group by months.customer_id, months.allowance_id

),

balances as (

    select customer_id, allowance_id, inline(chain) as (month, included, rolled_over, used, unused)
    from chained

)

select
    balances.customer_id,
    date_format(balances.month, 'yyyy-MM') as period,
    balances.allowance_id,
    allowances.service_type,
    allowances.zone,
    cast(balances.included / {{ parts }} as decimal(18, 6)) as included_units,
    cast(balances.rolled_over / {{ parts }} as decimal(18, 6)) as rolled_over_units,
    cast(least(balances.used, balances.included + balances.rolled_over) / {{ parts }} as decimal(18, 6)) as used_units,
    cast(balances.included + balances.rolled_over as decimal(38, 6)) as available_parts,
    balances.unused as unused_parts
from balances
inner join allowances on balances.allowance_id = allowances.allowance_id
where balances.month > (select coalesce(max(purged.month), date '0001-01-01') from purged)
