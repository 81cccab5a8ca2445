{{ config(enabled=target.type == 'spark') }}

-- How one record came to its cost, line by line:
--     dbt show --quiet --output json --limit 100 --select receipt --vars 'record_id: 5f2c...'

with

record as (

    select * from {{ ref('rated_usage') }}
    where record_id = {{ dbt.string_literal(dbt.escape_single_quotes(var('record_id', '') | string)) }}

),

charges as (

    select charges.*
    from {{ ref('usage_charges') }} as charges
    inner join record on charges.record_id = record.record_id

),

rates as (

    select * from {{ ref('stg_catalogue__product_rates') }}

),

lines as (

    select 1 as line_no, concat_ws(' ', 'connection', product_id, zone) as item, connect_fee as amount
    from record
    where rating_status = 'rated'

    union all

    select
        2 as line_no,
        concat(
            charges.pulses, ' pulses, ', charges.units, ' units at ', rates.unit_price, ' per ', rates.unit_size,
            ' (', charges.product_rate_id, ')'
        ) as item,
        charges.amount
    from charges
    inner join rates on charges.product_rate_id = rates.product_rate_id

    union all

    select
        3 as line_no,
        'cap and rounding' as item,
        record.usage_charge - coalesce((select sum(charges.amount) from charges), 0) as amount
    from record
    where record.rating_status = 'rated'

    union all

    select 4 as line_no, concat('promotion ', promotion_id) as item, -promotion_amount as amount
    from record
    where promotion_id is not null

    union all

    select
        5 as line_no,
        if(rating_status = 'rated', concat('cost in ', currency), concat(rating_status, ': ', status_reason)) as item,
        cost as amount
    from record

)

select
    item,
    -- as text, for dbt shows a decimal as a float
    trim(trailing '.' from trim(trailing '0' from cast(cast(amount as decimal(38, 12)) as string))) as amount
from lines
order by line_no, item
