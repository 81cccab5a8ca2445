with

usage as (

    select * from {{ ref('stg_landing__cdr') }}
    where landed_at <= (select cutoff.landed_until from {{ ref('rating_cutoff') }} as cutoff)

),

time_bands as (

    select
        time_band,
        day_type,
        cast(split_part(starts_at, ':', 1) as int) * 60 + cast(split_part(starts_at, ':', 2) as int) as from_minute,
        cast(split_part(ends_at, ':', 1) as int) * 60 + cast(split_part(ends_at, ':', 2) as int) as to_minute
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

        cast(dates.local_date as timestamp) as midnight,

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

-- the minutes of a local day at which a band begins or ends, in pairs
edges as (

    select
        array_sort(
            array_distinct(concat(array(0, 1440), flatten(collect_list(array(from_minute, to_minute)))))
        ) as edge_minutes
    from time_bands

),

spans as (

    select
        transform(
            sequence(1, size(edge_minutes) - 1),
            i -> named_struct('from_minute', edge_minutes[i - 1], 'to_minute', edge_minutes[i])
        ) as spans_of_a_day
    from edges

),

-- On a day whose clock changes, every minute is a slice of its own: local times are skipped or come twice.
exploded_slices as (

    select
        clocks.local_date,
        clocks.day_type,
        explode(
            if(
                clocks.offset_before = clocks.offset_after,
                transform(
                    spans.spans_of_a_day,
                    span -> named_struct(
                        'starts_at', clocks.midnight - clocks.offset_before + make_dt_interval(0, 0, span.from_minute),
                        'ends_at', clocks.midnight - clocks.offset_before + make_dt_interval(0, 0, span.to_minute)
                    )
                ),
                transform(
                    sequence(clocks.utc_before, clocks.utc_after, interval 1 minute),
                    begins_at -> named_struct('starts_at', begins_at, 'ends_at', begins_at + interval 1 minute)
                )
            )
        ) as slice
    from clocks
    cross join spans

),

local_slices as (

    select
        local_date,
        day_type,
        slice.starts_at,
        slice.ends_at,
        {{ local_time('slice.starts_at') }} as local_time
    from exploded_slices

),

slices as (

    select *, hour(local_time) * 60 + minute(local_time) as local_minute
    from local_slices
    where cast(local_time as date) = local_date

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
