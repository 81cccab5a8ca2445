with

rated_usage as (

    select * from {{ ref('rated_usage') }}

),

usage_by_day as (

    select
        msisdn,
        record_type,
        cast(event_time as date) as used_on,
        cast(sum(quantity) as decimal(28, 6)) as quantity,
        cast(coalesce(sum(cost), 0) as decimal(28, 6)) as cost
    from rated_usage
    group by msisdn, record_type, cast(event_time as date)

),

-- a subscriber is compared with nobody but himself: with the days of use within four weeks before
with_habit as (

    select
        *,
        count(*) over habit as days_before,
        cast(avg(quantity) over habit as decimal(28, 6)) as usual_quantity,
        cast(coalesce(stddev_samp(quantity) over habit, 0) as decimal(28, 6)) as usual_deviation
    from usage_by_day
    window habit as (
        partition by msisdn, record_type
        order by used_on
        range between interval 28 days preceding and interval 1 day preceding
    )

),

-- three deviations and five times above the usual, and known for a week: less is a birthday, not a stolen SIM
jumps as (

    select *
    from with_habit
    where
        days_before >= 7
        and quantity > usual_quantity + 3 * usual_deviation
        and quantity > 5 * usual_quantity

)

select * from jumps
