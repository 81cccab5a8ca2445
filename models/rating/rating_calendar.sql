with

usage as (

    select * from {{ ref('stg_landing__cdr') }}

),

time_bands as (

    select
        time_band,
        day_type,
        split_part(starts_at, ':', 1) * 60 + split_part(starts_at, ':', 2) as from_minute,
        split_part(ends_at, ':', 1) * 60 + split_part(ends_at, ':', 2) as to_minute
    from {{ ref('stg_catalogue__time_bands') }}

),

holidays as (

    select distinct holiday_date from {{ ref('stg_catalogue__holidays') }}

),

first_days as (

    select distinct cast({{ local_time('event_time') }} as date) as local_date from usage

),

-- A call may last 24 hours: begun on the eve of a day that a clock change makes shorter, it ends on the third day.
dates as (

    select distinct explode(sequence(local_date, date_add(local_date, 2))) as local_date from first_days

),

days as (

    select
        dates.local_date,
        case
            when holidays.holiday_date is not null then 'holiday'
            when dayofweek(dates.local_date) = 1 then 'sunday'
            when dayofweek(dates.local_date) = 7 then 'saturday'
            else 'weekday'
        end as day_type,

        -- every zone's local day lies within these instants, so equal offsets mean that no clock changes in it
        cast(dates.local_date as timestamp) - interval 16 hours as utc_before,
        cast(dates.local_date as timestamp) + interval 40 hours as utc_after
    from dates
    left join holidays on dates.local_date = holidays.holiday_date

),

clocks as (

    select
        *,
        {{ local_time('utc_before') }} - utc_before as offset_before,
        {{ local_time('utc_after') }} - utc_after as offset_after
    from days

),

edges as (

    select from_minute as edge_minute from time_bands
    union
    select to_minute from time_bands
    union
    select explode(array(0, 1440))

),

spans as (

    select
        edge_minute as from_minute,
        lead(edge_minute) over (order by edge_minute) as to_minute
    from edges
    where edge_minute between 0 and 1440

),

plain_slices as (

    select
        clocks.local_date,
        clocks.day_type,
        spans.from_minute as local_minute,
        cast(clocks.local_date as timestamp) + make_dt_interval(0, 0, spans.from_minute) - clocks.offset_before as starts_at,
        cast(clocks.local_date as timestamp) + make_dt_interval(0, 0, spans.to_minute) - clocks.offset_before as ends_at
    from clocks
    cross join spans
    where clocks.offset_before = clocks.offset_after and spans.to_minute is not null

),

-- On a day whose clock changes, every minute is a slice of its own: local times are skipped or come twice.
minutes as (

    select
        local_date,
        day_type,
        explode(sequence(utc_before, utc_after, interval 1 minute)) as starts_at
    from clocks
    where offset_before <> offset_after

),

clock_change_slices as (

    select
        local_date,
        day_type,
        hour({{ local_time('starts_at') }}) * 60 + minute({{ local_time('starts_at') }}) as local_minute,
        starts_at,
        starts_at + interval 1 minute as ends_at
    from minutes
    where cast({{ local_time('starts_at') }} as date) = local_date

),

slices as (

    select * from plain_slices
    union all
    select * from clock_change_slices

),

banded_slices as (

    select
        slices.local_date,
        slices.starts_at,
        slices.ends_at,
        sort_array(collect_set(time_bands.time_band)) as bands
    from slices
    left join time_bands
        on slices.day_type = time_bands.day_type
        and slices.local_minute >= time_bands.from_minute
        and slices.local_minute < time_bands.to_minute
    group by slices.local_date, slices.starts_at, slices.ends_at

),

marked_slices as (

    select
        *,
        case
            when bands = lag(bands) over one_day and starts_at = lag(ends_at) over one_day then 0
            else 1
        end as is_new
    from banded_slices
    window one_day as (partition by local_date order by starts_at)

),

numbered_slices as (

    select
        *,
        sum(is_new) over (partition by local_date order by starts_at) as slice_number
    from marked_slices

),

merged_slices as (

    select
        local_date,
        min(starts_at) as starts_at,
        max(ends_at) as ends_at,
        bands,
        to_json(bands) as band_set
    from numbered_slices
    group by local_date, slice_number, bands

),

followed_slices as (

    select
        *,
        collect_list(named_struct('starts_at', starts_at, 'ends_at', ends_at, 'band_set', band_set))
            over (order by unix_seconds(starts_at) range between 1 following and 172800 following)
            as following_slices
    from merged_slices

)

select * from followed_slices
