{{ config(materialized='ephemeral') }}

with

bills as (

    -- the invoice names every line and total, so its digest stands for the whole bill
    select *, sha2(invoice, 256) as digest
    from {{ ref('bills') }}

),

served as (

    select bill_id, period, state, digest
    from {{ source('served', 'bills') }}

),

changed as (

    select
        bills.bill_id,
        bills.customer_id,
        bills.period,
        bills.state,
        bills.currency,
        bills.subtotal,
        bills.discount_total,
        bills.tax_total,
        bills.total,
        bills.invoice,
        bills.issued_at,
        bills.digest
    from bills
    left join served on bills.bill_id = served.bill_id
    where
        served.bill_id is null
        {%- if flags.FULL_REFRESH %}
        or served.state = 'draft'
        {%- endif %}
        or served.digest <> bills.digest

)

select * from changed
