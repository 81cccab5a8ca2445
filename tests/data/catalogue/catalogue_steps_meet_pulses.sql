{{ config(tags=['catalogue']) }}

-- The rows alike in plan, product, zone, band and valid_from are one rate: they agree in what belongs to the whole
-- rate, the first step begins at 0, and each later one where a pulse of the step before it ends. A step that begins
-- within a pulse would take over later than the tariff says.

with

rates as (

    select
        *,
        concat_ws('/', rate_plan_id, product_id, zone, time_band, cast(valid_from as {{ dbt.type_string() }})) as rate
    from {{ ref('stg_catalogue__product_rates') }}

),

whole_rates as (

    select
        rate,
        min(product_rate_id) as id,
        min(from_unit) as first_from_unit,
        count(distinct connect_fee) as connect_fees,
        count(distinct coalesce(max_charge, -1)) as max_charges,
        count(distinct rounding_mode) as rounding_modes,
        count(distinct rounding_scale) as rounding_scales,
        count(distinct coalesce(valid_to, date '9999-12-31')) as ends
    from rates
    group by rate

),

rates_checked as (

    select
        id,
        concat_ws(
            '; ',
            case when first_from_unit <> 0 then 'no step begins at 0' end,
            case when connect_fees > 1 then 'its steps differ in connect_fee' end,
            case when max_charges > 1 then 'its steps differ in max_charge' end,
            case when rounding_modes > 1 then 'its steps differ in rounding_mode' end,
            case when rounding_scales > 1 then 'its steps differ in rounding_scale' end,
            case when ends > 1 then 'its steps differ in valid_to' end
        ) as fault
    from whole_rates

),

steps as (

    select
        product_rate_id as id,
        from_unit,
        lag(from_unit) over (partition by rate order by from_unit, product_rate_id) as step_before,
        lag(increment) over (partition by rate order by from_unit, product_rate_id) as increment_before,
        first_value(initial_increment) over (partition by rate order by from_unit, product_rate_id) as initial_increment
    from rates

),

-- the first pulse that the step before it sets the length of begins here
measured as (

    select
        *,
        case when step_before = 0 then initial_increment else step_before end as pulses_from
    from steps
    where step_before < from_unit and increment_before > 0

),

steps_checked as (

    select
        id,
        concat(
            'begins at ', cast(from_unit as {{ dbt.type_string() }}), ', where no pulse of the step before it ends'
        ) as fault
    from measured
    where from_unit < pulses_from or (from_unit - pulses_from) % nullif(increment_before, 0) <> 0

)

select 'product_rates' as seed, id, fault
from rates_checked
where fault <> ''
union all
select 'product_rates' as seed, id, fault
from steps_checked
