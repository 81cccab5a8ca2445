with

source as (

    select * from {{ catalogue_table(ref('tax_rates'), source('catalogue', 'tax_rates')) }}

),

typed as (

    select
        cast(tax_id as {{ dbt.type_string() }}) as tax_id,
        cast(tax_name as {{ dbt.type_string() }}) as tax_name,
        cast(applies_to as {{ dbt.type_string() }}) as applies_to,
        cast(region as {{ dbt.type_string() }}) as region,
        cast(percent as decimal(18, 6)) as percent,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed
