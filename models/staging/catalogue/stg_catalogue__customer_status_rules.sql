with

source as (

    select * from {{ catalogue_table(ref('customer_status_rules'), source('catalogue', 'customer_status_rules')) }}

),

typed as (

    select
        cast(customer_status as {{ dbt.type_string() }}) as customer_status,
        cast(ratable as boolean) as ratable,
        cast(reason as {{ dbt.type_string() }}) as reason
    from source

)

select * from typed
