with

source as (

    select * from {{ source('landing', 'cdr') }}

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
        landed_at

    from source

    where status = 'normal'

)

select * from normal
