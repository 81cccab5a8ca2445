with

source as (

    select * from {{ source('landing', 'cdr') }}

),

purges as (

    select
        max(purged_before) as purged_before,
        max(landed_until) as landed_until
    from {{ source('billing_control', 'purges') }}

),

normal as (

    select
        record_id,
        record_type,

        ---------- who
        msisdn,
        peer_msisdn,

        ---------- what: seconds, messages or megabytes
        cast(
            case record_type
                when 'voice' then cast(duration_sec as decimal(18, 6))
                when 'data' then data_volume_mb
                else 1
            end as decimal(18, 6)
        ) as quantity,
        cell_id,

        ---------- when
        event_time,
        landed_at,
        coalesce(event_time < (select purges.purged_before from purges), false) as in_purged_month

    from source

    where status = 'normal'

),

-- What came in time for the purge is gone, also while its emptied rows are not all written yet; what came later is
-- kept and has no price.
kept as (

    select * from normal
    where not (in_purged_month and landed_at <= (select purges.landed_until from purges))

)

select * from kept
