{{ config(materialized='view') }}

with

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

charges as (

    select
        rated_usage.record_id,
        charge.product_rate_id,
        charge.pulses,
        charge.units,
        charge.amount
    from rated_usage
        lateral view explode(rated_usage.charges) as charge

)

select * from charges
