with

source as (

    select * from {{ catalogue_table(ref('time_bands'), source('catalogue', 'time_bands')) }}

),

typed as (

    select
        cast(time_band as {{ dbt.type_string() }}) as time_band,
        cast(day_type as {{ dbt.type_string() }}) as day_type,
        cast(starts_at as {{ dbt.type_string() }}) as starts_at,
        cast(ends_at as {{ dbt.type_string() }}) as ends_at
    from source

)

select * from typed
