with

charges as (

    select * from {{ ref('bill_charges') }}

),

accounts as (

    select * from {{ ref('billing_accounts') }}

),

discounts as (

    select * from {{ ref('stg_catalogue__discounts') }}

),

months as (

    select * from {{ ref('billing_calendar') }}

),

-- what may come off a bill of a plan and segment in a month, in its order
offers as (

    select
        accounts.period,
        accounts.rate_plan_id,
        accounts.segment,
        array_sort(collect_list(struct(
            if(discounts.kind = 'percent', 0, 1) as kind_order,
            discounts.priority,
            discounts.discount_id,
            discounts.discount_name,
            discounts.kind,
            discounts.value,
            discounts.minimum_subtotal
        ))) as candidates
    from (select distinct period, rate_plan_id, segment from accounts) as accounts
    inner join months on accounts.period = months.period
    inner join discounts
        on discounts.rate_plan_id in (accounts.rate_plan_id, '*')
        and discounts.segment in (accounts.segment, '*')
        and {{ valid_on('discounts', 'date_sub(months.next_month, 1)') }}
    group by accounts.period, accounts.rate_plan_id, accounts.segment

),

subtotals as (

    select
        bill_id,
        customer_id,
        period,
        currency,
        cast(sum(amount) as decimal(18, 3)) as subtotal
    from charges
    group by bill_id, customer_id, period, currency

),

-- each takes its part of what the ones before it left, rounded to the minor unit, and never more than that
applied as (

    select
        subtotals.bill_id,
        subtotals.currency,
        aggregate(
            filter(offers.candidates, d -> subtotals.subtotal >= d.minimum_subtotal),
            struct(
                subtotals.subtotal as remaining,
                cast(array() as array<struct<
                    discount_id: string,
                    discount_name: string,
                    kind: string,
                    value: decimal(18, 6),
                    amount: decimal(18, 3)
                >>) as taken
            ),
            (state, d) -> transform(
                array(least(
                    state.remaining,
                    {{ round_to_minor_unit(
                        "if(d.kind = 'percent', state.remaining * cast(d.value as decimal(9, 6)) * 0.01, d.value)",
                        'subtotals.currency',
                    ) }}
                )),
                amount -> struct(
                    cast(state.remaining - amount as decimal(18, 3)) as remaining,
                    concat(
                        state.taken,
                        array(struct(
                            d.discount_id,
                            d.discount_name,
                            d.kind,
                            d.value,
                            cast(amount as decimal(18, 3)) as amount
                        ))
                    ) as taken
                )
            )[0],
            state -> state.taken
        ) as taken
    from subtotals
    inner join accounts
        on subtotals.customer_id = accounts.customer_id and subtotals.period = accounts.period
    inner join offers
        on accounts.period = offers.period
        and accounts.rate_plan_id = offers.rate_plan_id
        and accounts.segment = offers.segment
    where subtotals.subtotal > 0

),

listed as (

    select bill_id, currency, posexplode(taken) as (position, discount) from applied

)

select
    bill_id,
    cast(position + 1 as int) as discount_no,
    discount.discount_id,
    discount.discount_name,
    discount.kind,
    discount.value,
    currency,
    discount.amount
from listed
where discount.amount > 0
