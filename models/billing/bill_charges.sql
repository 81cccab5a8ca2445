with

usage as (

    select * from {{ ref('billed_usage') }}

),

months as (

    select * from {{ ref('billing_calendar') }}

),

plan_days as (

    select * from {{ ref('int_billing__plan_days') }}
    where not is_closed

),

accounts as (

    select * from {{ ref('billing_accounts') }}

),

taxes as (

    select * from {{ ref('stg_catalogue__tax_rates') }}

),

final_bills as (

    select * from {{ source('closed_billing', 'bills') }}
    where state = 'final'

),

final_lines as (

    select * from {{ source('closed_billing', 'bill_lines') }}
    where kind in ('usage', 'adjustment')

),

-- usage after allowances: one line a service and zone, rounded once; units that no column holds are left out, for one
-- absurd record must not stop everybody's bills
service_lines as (

    select
        usage.customer_id,
        usage.usage_month,
        months.is_closed,
        months.next_open_period,
        usage.currency,
        usage.service,
        usage.zone,
        try_cast(sum(usage.quantity) as decimal(18, 6)) as quantity,
        try_cast(sum(usage.billed_units) as decimal(18, 6)) as billed_units,
        try_cast(sum(usage.covered_units) as decimal(18, 6)) as covered_units,
        count(*) as records,
        {{ round_to_minor_unit('sum(usage.billed_amount)', 'usage.currency') }} as amount
    from usage
    inner join months on usage.usage_month = months.period
    group by
        usage.customer_id,
        usage.usage_month,
        months.is_closed,
        months.next_open_period,
        usage.currency,
        usage.service,
        usage.zone

),

-- what closed months were billed so far, to be taken off what they come to today
already_billed as (

    select
        final_bills.customer_id,
        final_lines.usage_month,
        true as is_closed,
        (select any_value(months.next_open_period) from months) as next_open_period,
        final_bills.currency,
        final_lines.service,
        final_lines.zone,
        cast(-final_lines.quantity as decimal(18, 6)) as quantity,
        cast(null as decimal(18, 6)) as billed_units,
        cast(null as decimal(18, 6)) as covered_units,
        cast(null as bigint) as records,
        cast(-final_lines.amount as decimal(18, 3)) as amount,
        cast(final_lines.tax_percent as decimal(9, 6)) as tax_percent
    from final_lines
    inner join final_bills on final_lines.bill_id = final_bills.bill_id
    -- against usage that was purged, all that it was billed would be a credit
    where
        final_lines.usage_month
        > coalesce((select date_format(any_value(months.purged_through), 'yyyy-MM') from months), '')

),

usage_lines as (

    select
        customer_id,
        usage_month as period,
        currency,
        'usage' as kind,
        service,
        zone,
        usage_month,
        cast(null as string) as rate_plan_name,
        quantity,
        billed_units,
        covered_units,
        records,
        amount,
        cast(null as decimal(9, 6)) as billed_tax_percent
    from service_lines
    where not is_closed

),

due_and_billed as (

    select *, cast(null as decimal(9, 6)) as tax_percent from service_lines
    where is_closed
    union all
    select * from already_billed

),

-- what a closed month comes to today less what it was billed, with the tax that its bill has on this service
differences as (

    select
        customer_id,
        next_open_period as period,
        currency,
        'adjustment' as kind,
        service,
        zone,
        usage_month,
        cast(null as string) as rate_plan_name,
        try_cast(sum(quantity) as decimal(18, 6)) as quantity,
        cast(null as decimal(18, 6)) as billed_units,
        cast(null as decimal(18, 6)) as covered_units,
        cast(null as bigint) as records,
        cast(sum(amount) as decimal(18, 3)) as amount,
        max(max(tax_percent)) over (partition by customer_id, usage_month, service) as billed_tax_percent
    from due_and_billed
    group by customer_id, usage_month, next_open_period, currency, service, zone

),

adjustment_lines as (

    select * from differences
    where amount <> 0 or quantity <> 0

),

corrected as (

    select distinct customer_id, period from adjustment_lines

),

-- a month without any usage record has bills only for who has an adjustment on them
billed_plan_days as (

    select plan_days.*
    from plan_days
    left join corrected on plan_days.customer_id = corrected.customer_id and plan_days.period = corrected.period
    where plan_days.has_usage or corrected.customer_id is not null

),

-- days on a plan, whatever else of the customer changed meanwhile
plan_totals as (

    select
        customer_id,
        period,
        rate_plan_id,
        plan_valid_from,
        rate_plan_name,
        currency,
        monthly_fee,
        minimum_spend,
        days_in_month,
        sum(days) as days
    from billed_plan_days
    group by
        customer_id,
        period,
        rate_plan_id,
        plan_valid_from,
        rate_plan_name,
        currency,
        monthly_fee,
        minimum_spend,
        days_in_month

),

fee_lines as (

    select
        customer_id,
        period,
        currency,
        'fee' as kind,
        cast(null as string) as service,
        cast(null as string) as zone,
        period as usage_month,
        rate_plan_name,
        cast(days as decimal(18, 6)) as quantity,
        cast(null as decimal(18, 6)) as billed_units,
        cast(null as decimal(18, 6)) as covered_units,
        cast(null as bigint) as records,
        {{ round_to_minor_unit('monthly_fee * days / days_in_month', 'currency') }} as amount,
        cast(null as decimal(9, 6)) as billed_tax_percent
    from plan_totals
    where monthly_fee > 0

),

-- the whole minimum spend; what fee and usage come to is taken off it below
minimum_spend_lines as (

    select
        customer_id,
        period,
        currency,
        'minimum_spend' as kind,
        cast(null as string) as service,
        cast(null as string) as zone,
        period as usage_month,
        cast(null as string) as rate_plan_name,
        cast(sum(days) as decimal(18, 6)) as quantity,
        cast(null as decimal(18, 6)) as billed_units,
        cast(null as decimal(18, 6)) as covered_units,
        cast(null as bigint) as records,
        {{ round_to_minor_unit('sum(minimum_spend * days) / any_value(days_in_month)', 'currency') }} as amount,
        cast(null as decimal(9, 6)) as billed_tax_percent
    from plan_totals
    where minimum_spend > 0
    group by customer_id, period, currency

),

lines as (

    select * from usage_lines
    union all
    select * from adjustment_lines
    union all
    select * from fee_lines
    union all
    select * from minimum_spend_lines

),

in_context as (

    select
        *,
        sum(if(kind in ('usage', 'fee'), amount, null)) over (partition by customer_id, period, currency) as spent
    from lines

),

-- a minimum spend asks for what fee and usage lack to it, and needs one of them
due as (

    select
        customer_id,
        period,
        currency,
        kind,
        service,
        zone,
        usage_month,
        rate_plan_name,
        quantity,
        billed_units,
        covered_units,
        records,
        billed_tax_percent,
        cast(if(kind = 'minimum_spend', amount - spent, amount) as decimal(18, 3)) as amount
    from in_context
    where kind <> 'minimum_spend' or amount > spent

),

taxed_services as (

    select explode(array('voice', 'sms', 'data', 'fee')) as service

),

taxed_regions as (

    select region from taxes
    union
    select '*' as region

),

-- the tax of a month and service by region, the one that holds on the month's last day, exact before `*`
regional_taxes as (

    select
        months.period as usage_month,
        taxed_services.service,
        taxed_regions.region,
        min_by(
            struct(taxes.tax_name, cast(taxes.percent as decimal(9, 6)) as percent),
            struct(taxes.applies_to = '*', taxes.region = '*', taxes.tax_id)
        ) as tax
    from months
    cross join taxed_services
    cross join taxed_regions
    inner join taxes
        on taxes.applies_to in (taxed_services.service, '*')
        and taxes.region in (taxed_regions.region, '*')
        and {{ valid_on('taxes', 'date_sub(months.next_month, 1)') }}
    group by months.period, taxed_services.service, taxed_regions.region

),

taxes_by_region as (

    select usage_month, service, map_from_entries(collect_list(struct(region, tax))) as taxes
    from regional_taxes
    group by usage_month, service

),

taxed as (

    select
        due.*,
        coalesce(
            try_element_at(taxes_by_region.taxes, coalesce(accounts.region, '*')),
            try_element_at(taxes_by_region.taxes, '*')
        ) as tax
    from due
    left join accounts
        on due.customer_id = accounts.customer_id and due.usage_month = accounts.period
    left join taxes_by_region
        on due.usage_month = taxes_by_region.usage_month
        and coalesce(due.service, 'fee') = taxes_by_region.service

),

-- a bill has one currency: what another than the plan's was charged in is a bill of its own
identified as (

    select
        taxed.*,
        concat_ws(
            '-',
            taxed.customer_id,
            taxed.period,
            if(taxed.currency = accounts.currency, null, taxed.currency)
        ) as bill_id
    from taxed
    left join accounts on taxed.customer_id = accounts.customer_id and taxed.period = accounts.period

)

select
    bill_id,
    customer_id,
    period,
    currency,
    kind,
    case kind
        when 'usage' then concat_ws(', ', initcap(service), replace(zone, '_', ' '))
        when 'adjustment'
            then concat('Correction of ', usage_month, ': ', concat_ws(', ', service, replace(zone, '_', ' ')))
        when 'fee' then concat('Monthly fee, ', rate_plan_name)
        else 'Minimum spend'
    end as description,
    service,
    zone,
    usage_month,
    rate_plan_name,
    quantity,
    try_cast(billed_units as decimal(18, 6)) as billed_units,
    try_cast(covered_units as decimal(18, 6)) as covered_units,
    records,
    amount,
    -- a name only for the percentage that it has today
    if(coalesce(billed_tax_percent = tax.percent, true), tax.tax_name, null) as tax_name,
    cast(coalesce(billed_tax_percent, tax.percent, 0) as decimal(9, 6)) as tax_percent
from identified
{%- if var('billing_month', none) %}
where period = '{{ var("billing_month") }}'
{%- endif %}
