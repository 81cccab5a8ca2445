-- Within a local day each slice begins where the one before it ended. In a gap records would have no rate; an overlap
-- would have rated_usage find two slices for one record, and rate it twice.

with

slices as (

    select
        local_date,
        starts_at,
        ends_at,
        lead(starts_at) over (order by starts_at) as next_starts_at,
        lead(local_date) over (order by starts_at) as next_date
    from {{ ref('rating_calendar') }}

)

select local_date, starts_at, ends_at, next_starts_at
from slices
where
    ends_at <= starts_at
    or next_starts_at < ends_at
    or (next_date <= date_add(local_date, 1) and next_starts_at <> ends_at)
