with

purged as (

    select max(cast(purged_through as date)) as purged_through
    from {{ source('billing_control', 'purges') }}

),

closing as (

    -- closing a month closes what lies before it: `telecom close` refuses while an earlier month has open bills
    select max(cast(month as date)) as closed_through
    from {{ source('billing_control', 'billing_months') }}

),

used as (

    select distinct cast(trunc({{ billing_date('event_time') }}, 'month') as date) as month
    from {{ ref('rated_usage') }}

),

-- an allowance rolls over from the month before, whether or not anything was used in it
needed as (

    select month from used
    union
    select add_months(month, -1) from used
    union
    select add_months(closed_through, 1) from closing
    where closed_through is not null

),

months as (

    select
        needed.month,
        cast(add_months(needed.month, 1) as date) as next_month,
        date_format(needed.month, 'yyyy-MM') as period,
        cast(datediff(add_months(needed.month, 1), needed.month) as int) as days_in_month,
        used.month is not null as has_usage,
        coalesce(needed.month <= closing.closed_through, false) as is_closed,
        closing.closed_through,
        purged.purged_through
    from needed
    cross join closing
    cross join purged
    left join used on needed.month = used.month
    -- what a purged month comes to nobody can say any more: it is never billed again
    where purged.purged_through is null or needed.month > purged.purged_through

),

-- corrections of closed months go onto the first open month that has usage, or else onto the one after the last closed
with_next_open as (

    select
        month,
        next_month,
        period,
        days_in_month,
        has_usage,
        is_closed,
        purged_through,
        coalesce(
            min(case when has_usage and not is_closed then period end) over (),
            date_format(add_months(closed_through, 1), 'yyyy-MM')
        ) as next_open_period
    from months

)

select * from with_next_open
