{{ config(materialized='postgres_export', export_view='bills') }}

with

changed_bills as (

    select * from {{ ref('int_exports__changed_bills') }}

),

bills as (

    select * from {{ ref('bills') }}

),

served as (

    select bill_id, period, state
    from {{ source('served', 'bills') }}

),

-- a draft that billing no longer makes, such as that of a customer who turned out to be prepaid
withdrawn as (

    select served.bill_id
    from served
    left anti join bills on served.bill_id = bills.bill_id
    where
        served.state = 'draft'
        {%- if var('billing_month', none) %}
        and served.period = '{{ var("billing_month") }}'
        {%- endif %}

),

exported as (

    select
        bill_id,
        customer_id,
        period,
        state,
        currency,
        subtotal,
        discount_total,
        tax_total,
        total,
        invoice,
        issued_at,
        digest
    from changed_bills

    union all

    select
        bill_id,
        cast(null as string) as customer_id,
        cast(null as string) as period,
        cast(null as string) as state,
        cast(null as string) as currency,
        cast(null as decimal(18, 3)) as subtotal,
        cast(null as decimal(18, 3)) as discount_total,
        cast(null as decimal(18, 3)) as tax_total,
        cast(null as decimal(18, 3)) as total,
        cast(null as string) as invoice,
        cast(null as timestamp) as issued_at,
        cast(null as string) as digest
    from withdrawn

)

select '{{ invocation_id }}' as run_id, * from exported
