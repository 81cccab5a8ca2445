{%- set parts = unit_parts() -%}

with

usage as (

    select * from {{ ref('int_billing__postpaid_usage') }}

),

balances as (

    select * from {{ ref('allowance_balances') }}

),

promotions as (

    select * from {{ ref('stg_catalogue__promotions') }}

),

ordered as (

    select
        usage.*,
        date_format(usage.month, 'yyyy-MM') as usage_month,
        coalesce(
            sum(usage.billed_units) over (
                partition by usage.customer_id, usage.month, usage.allowance_id
                order by usage.event_time, usage.record_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as units_before
    from usage

),

covered as (

    select
        ordered.*,
        promotions.discount_percent,
        cast(
            if(
                ordered.allowance_id is null,
                0,
                greatest(0, least(
                    ordered.billed_units * {{ parts }},
                    coalesce(balances.available_parts, 0) - ordered.units_before * {{ parts }}
                ))
            ) as decimal(38, 6)
        ) as covered_parts
    from ordered
    left join balances
        on ordered.customer_id = balances.customer_id
        and ordered.allowance_id = balances.allowance_id
        and ordered.usage_month = balances.period
    left join promotions on ordered.promotion_id = promotions.promotion_id

),

-- the record that crosses the end pays for its uncovered units, less the promotion, without connect fee; in whole
-- millionths and divided once, since a quotient of decimals would be rounded twice
billed as (

    select
        *,
        cast(
            case
                when covered_parts = 0 then cost
                when covered_parts = billed_units * {{ parts }} then 0
                else coalesce(
                    {{ half_up_quotient(
                        [
                            'usage_charge * 1000000',
                            '(billed_units * ' ~ parts ~ ' - covered_parts) * 1000000',
                            '(100 - coalesce(discount_percent, 0)) * 1000000',
                        ],
                        ['billed_units * 1000000', parts, '100000000'],
                    ) }} * 0.000001,
                    -- more digits than Spark has: a charge of millions for millions of units
                    round(
                        usage_charge
                        * cast(1 - covered_parts / (billed_units * {{ parts }}) as decimal(10, 9))
                        * cast(1 - coalesce(discount_percent, 0) * 0.01 as decimal(9, 8)),
                        6
                    )
                )
            end as decimal(18, 6)
        ) as billed_amount
    from covered

)

select
    record_id,
    customer_id,
    usage_month,
    event_time,
    service,
    zone,
    currency,
    allowance_id,
    quantity,
    billed_units,
    cast(covered_parts / {{ parts }} as decimal(18, 6)) as covered_units,
    cost,
    billed_amount,
    cast(cost - billed_amount as decimal(18, 6)) as included_amount
from billed
