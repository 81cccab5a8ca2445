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

-- 1. one line a service and zone, rounded once
service_lines as (

    select
        usage.customer_id,
        usage.usage_month,
        months.is_closed,
        usage.currency,
        usage.service,
        usage.zone,
        cast(sum(usage.quantity) as decimal(18,6)) as quantity,
        cast(sum(usage.billed_units) as decimal(18,6)) as billed_units,
        cast(sum(usage.covered_units) as decimal(18,6)) as covered_units,
        count(*) as records,
        {{ round_to_minor_unit('sum(usage.billed_amount)', 'usage.currency') }} as amount
    from usage
    inner join months on usage.usage_month = months.period
    group by usage.customer_id, usage.usage_month, months.is_closed, usage.currency, usage.service, usage.zone

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
        cast(null as decimal(9,6)) as billed_tax_percent
    from service_lines
    where not is_closed

),

-- what closed months were billed so far against what they come to today: late and re-rated usage
already_billed as (

    select
        final_bills.customer_id,
        final_lines.usage_month,
        final_bills.currency,
        final_lines.service,
        final_lines.zone,
        final_lines.quantity,
        final_lines.amount,
        final_lines.tax_percent
    from final_lines
    inner join final_bills on final_lines.bill_id = final_bills.bill_id

),

compared as (

    select
        customer_id,
        usage_month,
        currency,
        service,
        zone,
        quantity,
        amount,
        cast(null as decimal(9,6)) as tax_percent
    from service_lines
    where is_closed
    union all
    select
        customer_id,
        usage_month,
        currency,
        service,
        zone,
        -quantity,
        -amount,
        tax_percent
    from already_billed

),

differences as (

    select
        customer_id,
        usage_month,
        currency,
        service,
        zone,
        cast(sum(quantity) as decimal(18,6)) as quantity,
        cast(sum(amount) as decimal(18,3)) as amount,
        -- the tax as it was in that month: the one on its bill, where the bill has this service
        max(max(tax_percent)) over (partition by customer_id, usage_month, service) as billed_tax_percent
    from compared
    group by customer_id, usage_month, currency, service, zone

),

adjustment_lines as (

    select
        differences.customer_id,
        months.next_open_period as period,
        differences.currency,
        'adjustment' as kind,
        differences.service,
        differences.zone,
        differences.usage_month,
        cast(null as string) as rate_plan_name,
        differences.quantity,
        cast(null as decimal(18,6)) as billed_units,
        cast(null as decimal(18,6)) as covered_units,
        cast(null as bigint) as records,
        differences.amount,
        differences.billed_tax_percent
    from differences
    cross join (select any_value(next_open_period) as next_open_period from months) as months
    where differences.amount <> 0 or differences.quantity <> 0

),

-- 2. a fee a plan and its days, in every month that has usage or takes an adjustment
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
    from plan_days
    where has_usage or period in (select period from adjustment_lines)
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
        cast(days as decimal(18,6)) as quantity,
        cast(null as decimal(18,6)) as billed_units,
        cast(null as decimal(18,6)) as covered_units,
        cast(null as bigint) as records,
        {{ round_to_minor_unit('monthly_fee * days / days_in_month', 'currency') }} as amount,
        cast(null as decimal(9,6)) as billed_tax_percent
    from plan_totals
    where monthly_fee > 0

),

-- 3. what fee and usage lack to the minimum spend
spent as (

    select customer_id, period, currency, sum(amount) as amount
    from (
        select customer_id, period, currency, amount from usage_lines
        union all
        select customer_id, period, currency, amount from fee_lines
    )
    group by customer_id, period, currency

),

minimum_spends as (

    select
        customer_id,
        period,
        currency,
        sum(days) as days,
        {{ round_to_minor_unit('sum(minimum_spend * days) / any_value(days_in_month)', 'currency') }} as amount
    from plan_totals
    where minimum_spend > 0
    group by customer_id, period, currency

),

minimum_spend_lines as (

    select
        spent.customer_id,
        spent.period,
        spent.currency,
        'minimum_spend' as kind,
        cast(null as string) as service,
        cast(null as string) as zone,
        spent.period as usage_month,
        cast(null as string) as rate_plan_name,
        cast(minimum_spends.days as decimal(18,6)) as quantity,
        cast(null as decimal(18,6)) as billed_units,
        cast(null as decimal(18,6)) as covered_units,
        cast(null as bigint) as records,
        cast(minimum_spends.amount - spent.amount as decimal(18,3)) as amount,
        cast(null as decimal(9,6)) as billed_tax_percent
    from spent
    inner join minimum_spends
        on spent.customer_id = minimum_spends.customer_id
        and spent.period = minimum_spends.period
        and spent.currency = minimum_spends.currency
    where minimum_spends.amount > spent.amount

),

lines as (

    select * from usage_lines
    union all
    select * from fee_lines
    union all
    select * from minimum_spend_lines
    union all
    select * from adjustment_lines

),

-- the tax of a service and region in a month is the one that holds on its last day, exact before `*`
tax_of as (

    select
        months.period as usage_month,
        charged.service,
        regions.region,
        min_by(
            struct(taxes.tax_name, cast(taxes.percent as decimal(9,6)) as percent),
            struct(taxes.applies_to = '*', taxes.region = '*', taxes.tax_id)
        ) as tax
    from months
    cross join (select explode(array('voice', 'sms', 'data', 'fee')) as service) as charged
    cross join (select distinct coalesce(region, '') as region from accounts) as regions
    inner join taxes
        on taxes.applies_to in (charged.service, '*')
        and taxes.region in (regions.region, '*')
        and {{ valid_on('taxes', 'date_sub(months.next_month, 1)') }}
    group by months.period, charged.service, regions.region

),

taxed as (

    select
        lines.*,
        coalesce(lines.billed_tax_percent, tax_of.tax.percent, 0) as tax_percent,
        if(
            coalesce(lines.billed_tax_percent = tax_of.tax.percent, true),
            tax_of.tax.tax_name,
            null
        ) as tax_name
    from lines
    left join accounts
        on lines.customer_id = accounts.customer_id and lines.usage_month = accounts.period
    left join tax_of
        on lines.usage_month = tax_of.usage_month
        and coalesce(lines.service, 'fee') = tax_of.service
        and coalesce(accounts.region, '') = tax_of.region

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
        when 'usage' then concat(initcap(service), coalesce(concat(', ', replace(zone, '_', ' ')), ''))
        when 'adjustment' then concat('Correction of ', usage_month, ': ', service, coalesce(concat(', ', replace(zone, '_', ' ')), ''))
        when 'fee' then concat('Monthly fee, ', rate_plan_name)
        else 'Minimum spend'
    end as description,
    service,
    zone,
    usage_month,
    rate_plan_name,
    quantity,
    billed_units,
    covered_units,
    records,
    amount,
    tax_name,
    cast(tax_percent as decimal(9,6)) as tax_percent
from identified
