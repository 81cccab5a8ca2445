with

source as (

    select * from {{ catalogue_table(ref('holidays'), source('catalogue', 'holidays')) }}

),

typed as (

    select
        cast(holiday_date as date) as holiday_date,
        cast(holiday_name as {{ dbt.type_string() }}) as holiday_name
    from source

)

select * from typed
