{{ config(tags=['catalogue']) }}

-- In a zone that a plan prices, every hour of the week has a rate, and only one: an hour without is an error in
-- somebody's call at that hour (NO_RATE), an hour with two is AMBIGUOUS_RATE. What applies changes only where a band
-- begins or ends and on the first day of a validity, so those are the moments to look at.

with

bands as (

    select * from {{ ref('stg_catalogue__time_bands') }}

),

rates as (

    select distinct
        product_rates.rate_plan_id,
        products.service_type,
        product_rates.product_id,
        product_rates.zone,
        product_rates.time_band,
        product_rates.valid_from,
        coalesce(product_rates.valid_to, date '9999-12-31') as valid_to
    from {{ ref('stg_catalogue__product_rates') }} as product_rates
    inner join {{ ref('stg_catalogue__products') }} as products
        on product_rates.product_id = products.product_id

),

minutes as (

    select '00:00' as minute
    union
    select starts_at as minute from bands
    union
    select ends_at as minute from bands
    where ends_at < '24:00'

),

day_types as (

    select 'weekday' as day_type
    union all
    select 'saturday' as day_type
    union all
    select 'sunday' as day_type
    union all
    select 'holiday' as day_type

),

hours_of_bands as (

    select '*' as time_band, day_types.day_type, minutes.minute
    from day_types
    cross join minutes

    union

    select bands.time_band, bands.day_type, minutes.minute
    from bands
    inner join minutes on bands.starts_at <= minutes.minute and bands.ends_at > minutes.minute

),

dates as (

    select rate_plan_id, service_type, valid_from as first_day from rates
    union
    select rate_plan_id, service_type, valid_to as first_day from rates

),

-- a zone is on offer from its first rate to the end of its last one
zones as (

    select
        rate_plan_id,
        service_type,
        zone,
        min(valid_from) as offered_from,
        max(valid_to) as offered_to
    from rates
    group by rate_plan_id, service_type, zone

),

moments as (

    select
        zones.rate_plan_id,
        zones.service_type,
        zones.zone,
        dates.first_day,
        hours.day_type,
        hours.minute
    from zones
    inner join dates
        on zones.rate_plan_id = dates.rate_plan_id
        and zones.service_type = dates.service_type
        and zones.offered_from <= dates.first_day
        and zones.offered_to > dates.first_day
    inner join hours_of_bands as hours on hours.time_band = '*'

),

rates_by_hour as (

    select rates.*, hours.day_type, hours.minute
    from rates
    inner join hours_of_bands as hours on rates.time_band = hours.time_band

),

-- an exact zone beats `*`, then a named band beats `*`
candidates as (

    select
        moments.rate_plan_id,
        moments.service_type,
        moments.zone,
        moments.first_day,
        moments.day_type,
        moments.minute,
        rates_by_hour.product_id,
        rank() over (
            partition by
                moments.rate_plan_id,
                moments.service_type,
                moments.zone,
                moments.first_day,
                moments.day_type,
                moments.minute
            order by
                case when rates_by_hour.zone = '*' then 1 else 0 end,
                case when rates_by_hour.time_band = '*' then 1 else 0 end
        ) as preference
    from moments
    left join rates_by_hour
        on moments.rate_plan_id = rates_by_hour.rate_plan_id
        and moments.service_type = rates_by_hour.service_type
        and (moments.zone = rates_by_hour.zone or rates_by_hour.zone = '*')
        and moments.first_day >= rates_by_hour.valid_from
        and moments.first_day < rates_by_hour.valid_to
        and moments.day_type = rates_by_hour.day_type
        and moments.minute = rates_by_hour.minute

),

counted as (

    select
        rate_plan_id,
        service_type,
        zone,
        first_day,
        day_type,
        minute,
        count(product_id) as rates
    from candidates
    where preference = 1
    group by rate_plan_id, service_type, zone, first_day, day_type, minute

),

faulty as (

    select
        *,
        concat(
            day_type, ' ', minute, ' from ', cast(first_day as {{ dbt.type_string() }}), ' on has ',
            case when rates = 0 then 'no rate' else 'more than one rate' end
        ) as fault
    from counted
    where rates <> 1

)

select
    'product_rates' as seed,
    concat_ws('/', rate_plan_id, service_type, zone) as id,
    concat(
        min(fault),
        case
            when count(*) > 1
                then concat(' (and ', cast(count(*) - 1 as {{ dbt.type_string() }}), ' more such times)')
            else ''
        end
    ) as fault
from faulty
group by rate_plan_id, service_type, zone, case when rates = 0 then 0 else 1 end
