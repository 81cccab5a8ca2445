with

rated as (

    select
        date_format({{ billing_date('event_time') }}, 'yyyy-MM') as usage_month,
        currency,
        subscription_type,
        cost
    from {{ ref('rated_usage') }}
    where rating_status = 'rated'

),

billed_usage as (

    select * from {{ ref('billed_usage') }}

),

draft_lines as (

    select * from {{ ref('bill_lines') }}
    where kind in ('usage', 'adjustment')

),

final_bills as (

    select * from {{ source('served', 'bills') }}
    where state = 'final'

),

final_lines as (

    select lines.*, final_bills.currency
    from {{ source('served', 'bill_lines') }} as lines
    inner join final_bills on lines.bill_id = final_bills.bill_id
    where lines.kind in ('usage', 'adjustment')

),

-- what a month came to that was purged since
purged as (

    select * from {{ source('served', 'purged_costs') }}

),

rated_by_month as (

    select
        usage_month,
        currency,
        cast(sum(cost) as decimal(28, 6)) as rated_cost,
        cast(sum(if(subscription_type = 'prepaid', cost, 0)) as decimal(28, 6)) as prepaid_cost
    from rated
    group by usage_month, currency

    union all

    select
        usage_month,
        currency,
        rated_cost,
        prepaid_cost
    from purged

),

-- a line's amount is rounded once, as the sum of its records
usage_by_line as (

    select
        usage_month,
        currency,
        cast(sum(included_amount) as decimal(28, 6)) as included_amount,
        cast(sum(billed_amount) as decimal(28, 6)) as billed_amount,
        {{ round_to_minor_unit('sum(billed_amount)', 'currency') }} as line_amount
    from billed_usage
    group by customer_id, usage_month, currency, service, zone

),

included_by_month as (

    select
        usage_month,
        currency,
        cast(sum(included_amount) as decimal(28, 6)) as included_amount,
        cast(sum(line_amount - billed_amount) as decimal(28, 6)) as rounding
    from usage_by_line
    group by usage_month, currency

    union all

    select
        usage_month,
        currency,
        included_amount,
        rounding
    from purged

),

billed_by_month as (

    select usage_month, currency, cast(sum(amount) as decimal(28, 6)) as billed_amount
    from final_lines
    group by usage_month, currency

),

open_by_month as (

    select usage_month, currency, cast(sum(amount) as decimal(28, 6)) as open_amount
    from draft_lines
    group by usage_month, currency

),

joined as (

    select
        usage_month,
        currency,
        coalesce(rated_by_month.rated_cost, 0) as rated_cost,
        coalesce(rated_by_month.prepaid_cost, 0) as prepaid_cost,
        coalesce(included_by_month.included_amount, 0) as included_amount,
        coalesce(billed_by_month.billed_amount, 0) as billed_amount,
        coalesce(open_by_month.open_amount, 0) as open_amount,
        coalesce(included_by_month.rounding, 0) as rounding
    from rated_by_month
    full outer join included_by_month using (usage_month, currency)
    full outer join billed_by_month using (usage_month, currency)
    full outer join open_by_month using (usage_month, currency)

),

compared as (

    select
        *,
        cast(
            rated_cost + rounding - prepaid_cost - included_amount - billed_amount - open_amount as decimal(28, 6)
        ) as difference
    from joined

)

select * from compared
