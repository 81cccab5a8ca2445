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

    select bills.*
    from bills
    left join served on bills.bill_id = served.bill_id
    where
        served.bill_id is null
        or served.digest <> bills.digest
        {%- if flags.FULL_REFRESH %}
        or served.state = 'draft'
        {%- endif %}

)

select * from changed
