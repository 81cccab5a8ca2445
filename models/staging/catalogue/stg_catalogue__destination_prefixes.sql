with

source as (

    select * from {{ catalogue_table(ref('destination_prefixes'), source('catalogue', 'destination_prefixes')) }}

),

typed as (

    select
        cast(prefix as {{ dbt.type_string() }}) as prefix,
        cast(zone as {{ dbt.type_string() }}) as zone,
        cast(description as {{ dbt.type_string() }}) as description
    from source

)

select * from typed
