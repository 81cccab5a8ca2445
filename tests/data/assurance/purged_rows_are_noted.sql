-- What was emptied in the landing zone, PostgreSQL has noted as purged. A row that it has not is the trace of a backup
-- that was restored on one side alone: all that its month was billed would be credited on the next open bills.

with

noted as (

    select
        max(purged_before) as purged_before,
        max(landed_until) as landed_until
    from {{ source('billing_control', 'purges') }}

),

emptied as (

    select
        cast(landed_at as date) as landed_on,
        event_time,
        landed_at
    from {{ source('landing', 'cdr') }}
    where status = 'normal' and record_type = 'purged'

)

select emptied.landed_on, count(*) as emptied_rows
from emptied
cross join noted
where coalesce(emptied.event_time >= noted.purged_before or emptied.landed_at > noted.landed_until, true)
group by emptied.landed_on
