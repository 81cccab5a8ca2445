with

lines as (

    select * from {{ ref('bill_lines') }}

),

discounts as (

    select * from {{ ref('bill_discounts') }}

),

balances as (

    select * from {{ ref('allowance_balances') }}

),

accounts as (

    select * from {{ ref('billing_accounts') }}

),

periods as (

    select period from lines
    union
    select usage_month as period from lines

),

months as (

    select
        period,
        cast(concat(period, '-01') as date) as month,
        cast(add_months(cast(concat(period, '-01') as date), 1) as date) as next_month
    from periods

),

-- as the invoice writes them: formatted once a month, for a million lines name few of them
written_months as (

    select
        period,
        {{ iso_day_start('month') }} as starts_at,
        {{ iso_day_start('next_month') }} as ends_at
    from months

),

dated_lines as (

    select lines.*, written_months.starts_at, written_months.ends_at
    from lines
    inner join written_months on lines.usage_month = written_months.period

),

totalled as (

    select
        bill_id,
        any_value(customer_id) as customer_id,
        any_value(period) as period,
        any_value(currency) as currency,
        cast(sum(amount) as decimal(18, 3)) as subtotal,
        cast(sum(discount) as decimal(18, 3)) as discount_total,
        cast(sum(tax) as decimal(18, 3)) as tax_total,
        cast(sum(total) as decimal(18, 3)) as total,
        sort_array(collect_list(struct(
            line_no,
            kind,
            description,
            service,
            zone,
            quantity,
            case service
                when 'voice' then 'second'
                when 'sms' then 'message'
                when 'data' then 'megabyte'
                else 'day'
            end as unit,
            billed_units,
            covered_units,
            records,
            amount,
            discount,
            tax_name,
            tax_percent,
            tax,
            total,
            usage_month,
            starts_at,
            ends_at
        ))) as lines
    from dated_lines
    group by bill_id

),

taxes_by_rate as (

    select bill_id, tax_percent, tax_name, cast(sum(tax) as decimal(18, 3)) as tax
    from lines
    group by bill_id, tax_percent, tax_name

),

taxed as (

    select bill_id, sort_array(collect_list(struct(tax_percent, tax_name, tax))) as taxes
    from taxes_by_rate
    group by bill_id

),

discounted as (

    select
        bill_id,
        sort_array(collect_list(struct(discount_no, discount_id, discount_name, kind, value, amount))) as discounts
    from discounts
    group by bill_id

),

allowed as (

    select
        balances.customer_id,
        balances.period,
        sort_array(collect_list(struct(
            balances.allowance_id,
            balances.service_type,
            balances.zone,
            balances.included_units,
            balances.rolled_over_units,
            balances.used_units
        ))) as allowances
    from balances
    inner join periods on balances.period = periods.period
    group by balances.customer_id, balances.period

),

gathered as (

    select
        totalled.*,
        written_months.starts_at,
        written_months.ends_at,
        taxed.taxes,
        discounted.discounts,
        allowed.allowances,
        accounts.customer_name,
        accounts.msisdn,
        accounts.segment,
        accounts.region,
        accounts.rate_plan_name
    from totalled
    inner join written_months on totalled.period = written_months.period
    inner join taxed on totalled.bill_id = taxed.bill_id
    left join discounted on totalled.bill_id = discounted.bill_id
    left join allowed on totalled.customer_id = allowed.customer_id and totalled.period = allowed.period
    left join accounts on totalled.customer_id = accounts.customer_id and totalled.period = accounts.period

)

select
    bill_id,
    customer_id,
    period,
    'draft' as state,
    currency,
    subtotal,
    discount_total,
    tax_total,
    total,
    case {{ minor_unit('currency') }}
        when 0 then {{ tmf_customer_bill(0) }}
        when 3 then {{ tmf_customer_bill(3) }}
        else {{ tmf_customer_bill(2) }}
    end as invoice,
    cast(null as timestamp) as issued_at
from gathered
