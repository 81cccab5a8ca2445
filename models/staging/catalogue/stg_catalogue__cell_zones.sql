with

source as (

    select * from {{ catalogue_table(ref('cell_zones'), source('catalogue', 'cell_zones')) }}

),

typed as (

    select
        cast(cell_prefix as {{ dbt.type_string() }}) as cell_prefix,
        cast(zone as {{ dbt.type_string() }}) as zone
    from source

)

select * from typed
