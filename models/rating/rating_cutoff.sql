-- What is landed when a run begins is what it rates and accounts for. A stream lands on meanwhile: without one moment
-- for all models, assurance would count records that rating had not seen, and the calendar would lack their days.

with

landed as (

    select * from {{ source('landing', 'cdr') }}

),

latest as (

    select coalesce(max(landed_at), timestamp '0001-01-01 00:00:00Z') as landed_until from landed

)

select * from latest
