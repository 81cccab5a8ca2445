with

source as (

    select * from {{ catalogue_table(ref('products'), source('catalogue', 'products')) }}

),

typed as (

    select
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(product_name as {{ dbt.type_string() }}) as product_name,
        cast(service_type as {{ dbt.type_string() }}) as service_type,
        cast(unit as {{ dbt.type_string() }}) as unit
    from source

)

select * from typed
