with

source as (

    select * from {{ catalogue_table(ref('product_rates'), source('catalogue', 'product_rates')) }}

),

typed as (

    select
        cast(product_rate_id as {{ dbt.type_string() }}) as product_rate_id,
        cast(rate_plan_id as {{ dbt.type_string() }}) as rate_plan_id,
        cast(product_id as {{ dbt.type_string() }}) as product_id,
        cast(zone as {{ dbt.type_string() }}) as zone,
        cast(time_band as {{ dbt.type_string() }}) as time_band,
        cast(from_unit as decimal(18, 6)) as from_unit,
        cast(unit_price as decimal(18, 6)) as unit_price,
        cast(unit_size as decimal(18, 6)) as unit_size,
        cast(initial_increment as decimal(18, 6)) as initial_increment,
        cast(increment as decimal(18, 6)) as increment,
        cast(connect_fee as decimal(18, 6)) as connect_fee,
        cast(max_charge as decimal(18, 6)) as max_charge,
        cast(rounding_mode as {{ dbt.type_string() }}) as rounding_mode,
        cast(rounding_scale as int) as rounding_scale,
        cast(valid_from as date) as valid_from,
        cast(valid_to as date) as valid_to
    from source

)

select * from typed
