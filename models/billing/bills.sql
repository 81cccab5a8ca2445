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

totalled as (

    select
        bill_id,
        any_value(customer_id) as customer_id,
        any_value(period) as period,
        any_value(currency) as currency,
        cast(sum(amount) as decimal(18,3)) as subtotal,
        cast(sum(discount) as decimal(18,3)) as discount_total,
        cast(sum(tax) as decimal(18,3)) as tax_total,
        cast(sum(total) as decimal(18,3)) as total,
        array_sort(collect_list(struct(
            line_no,
            kind,
            description,
            service,
            zone,
            quantity,
            case coalesce(service, 'fee') when 'voice' then 'second' when 'sms' then 'message' when 'data' then 'megabyte' else 'day' end as unit,
            billed_units,
            covered_units,
            records,
            amount,
            discount,
            tax_name,
            tax_percent,
            tax,
            total,
            usage_month
        ))) as lines
    from lines
    group by bill_id

),

taxes_by_rate as (

    select bill_id, tax_percent, tax_name, cast(sum(tax) as decimal(18,3)) as tax
    from lines
    group by bill_id, tax_percent, tax_name

),

taxed as (

    select bill_id, array_sort(collect_list(struct(tax_percent, tax_name, tax))) as taxes
    from taxes_by_rate
    group by bill_id

),

discounted as (

    select
        bill_id,
        array_sort(collect_list(struct(discount_no, discount_id, discount_name, kind, value, amount))) as discounts
    from discounts
    group by bill_id

),

allowed as (

    select
        customer_id,
        period,
        array_sort(collect_list(struct(
            allowance_id, service_type, zone, included_units, rolled_over_units, used_units
        ))) as allowances
    from balances
    group by customer_id, period

),

gathered as (

    select
        totalled.*,
        cast(concat(totalled.period, '-01') as date) as month,
        cast(add_months(cast(concat(totalled.period, '-01') as date), 1) as date) as next_month,
        taxed.taxes,
        discounted.discounts,
        allowed.allowances,
        accounts.customer_name,
        accounts.msisdn,
        accounts.segment,
        accounts.region,
        accounts.rate_plan_name
    from totalled
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
