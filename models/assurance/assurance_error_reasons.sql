with

errors as (

    select
        cast(landed_at as date) as landed_on,
        explode(error_reasons) as reason
    from {{ source('landing', 'cdr') }}
    where
        status = 'error'
        and landed_at <= (select cutoff.landed_until from {{ ref('rating_cutoff') }} as cutoff)

),

-- a record with several reasons counts for each of them
counted as (

    select landed_on, reason, count(*) as records
    from errors
    group by landed_on, reason

),

ranked as (

    select
        *,
        row_number() over (partition by landed_on order by records desc, reason asc) as rank_of_day
    from counted

)

select * from ranked
