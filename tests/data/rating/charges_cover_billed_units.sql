-- The charges explain a record's whole length: usage_charges would otherwise show a receipt from which the price does
-- not follow, and a customer's complaint could not be answered.

with

rated_usage as (

    select * from {{ ref('rated_usage') }}
    where rating_status = 'rated'

),

charges as (

    select
        record_id,
        sum(units) as units,
        min(pulses) as fewest_pulses
    from {{ ref('usage_charges') }}
    group by record_id

)

select rated_usage.record_id, rated_usage.billed_units, charges.units
from rated_usage
full outer join charges on rated_usage.record_id = charges.record_id
where
    rated_usage.record_id is null
    or rated_usage.billed_units <> coalesce(charges.units, 0)
    or charges.fewest_pulses < 1
