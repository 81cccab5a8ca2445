with

landed as (

    select * from {{ source('landing', 'cdr') }}
    where landed_at <= (select cutoff.landed_until from {{ ref('rating_cutoff') }} as cutoff)

),

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

landed_by_day as (

    -- received counts messages, the others rows: a message that was landed twice makes them differ
    select
        cast(landed_at as date) as landed_on,
        count(distinct topic, partition, offset) as received,
        count_if(status = 'normal') as normal,
        count_if(status = 'error') as error,
        count_if(status = 'duplicate') as duplicate
    from landed
    group by cast(landed_at as date)

),

-- an emptied row is still a row of the landing zone; how its record had been rated was kept when it was purged
rated_and_purged as (

    select
        cast(landed_at as date) as landed_on,
        rating_status,
        count(*) as records
    from rated_usage
    group by cast(landed_at as date), rating_status

    union all

    select
        landed_on,
        rating_status,
        records
    from {{ source('served', 'purged_records') }}

),

rated_by_day as (

    select
        landed_on,
        sum(if(rating_status = 'rated', records, 0)) as rated,
        sum(if(rating_status = 'rejected', records, 0)) as rejected,
        sum(if(rating_status = 'unmatched', records, 0)) as unmatched,
        sum(if(rating_status = 'error', records, 0)) as not_priced
    from rated_and_purged
    group by landed_on

),

joined as (

    select
        landed_on,
        coalesce(landed_by_day.received, 0) as received,
        coalesce(landed_by_day.normal, 0) as normal,
        coalesce(landed_by_day.error, 0) as error,
        coalesce(landed_by_day.duplicate, 0) as duplicate,
        coalesce(rated_by_day.rated, 0) as rated,
        coalesce(rated_by_day.rejected, 0) as rejected,
        coalesce(rated_by_day.unmatched, 0) as unmatched,
        coalesce(rated_by_day.not_priced, 0) as not_priced
    from landed_by_day
    full outer join rated_by_day using (landed_on)

),

compared as (

    select
        *,
        received - normal - error - duplicate as landing_difference,
        normal - rated - rejected - unmatched - not_priced as rating_difference
    from joined

)

select * from compared
