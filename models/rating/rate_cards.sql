with

products as (

    select product_id, min(service_type) as service_type
    from {{ ref('stg_catalogue__products') }}
    group by product_id

),

rates as (

    select product_rates.*, products.service_type
    from {{ ref('stg_catalogue__product_rates') }} as product_rates
    inner join products on product_rates.product_id = products.product_id

),

rate_plans as (

    select * from {{ ref('stg_catalogue__rate_plans') }}

),

promotions as (

    select
        promotion_id,
        coalesce(rate_plan_id, '*') as rate_plan_id,
        coalesce(service_type, '*') as service_type,
        coalesce(zone, '*') as zone,
        coalesce(time_band, '*') as time_band,
        coalesce(segment, '*') as segment,
        discount_percent,
        priority,
        valid_from,
        valid_to
    from {{ ref('stg_catalogue__promotions') }}

),

band_sets as (

    select distinct band_set, bands from {{ ref('rating_calendar') }}

),

---------- what there is a card for

plan_services as (

    select distinct rate_plan_id, service_type from rates

),

-- Zones that neither a rate nor a promotion names fare alike: they share the card of `*`.
card_keys as (

    select rate_plan_id, service_type, '*' as zone from plan_services
    union
    select rate_plan_id, service_type, zone from rates where zone is not null
    union
    select plan_services.rate_plan_id, plan_services.service_type, promotions.zone
    from plan_services
    inner join promotions
        on promotions.rate_plan_id in (plan_services.rate_plan_id, '*')
        and promotions.service_type in (plan_services.service_type, '*')

),

---------- the periods in which a card does not change

card_rates as (

    select card_keys.zone as card_zone, rates.*
    from card_keys
    inner join rates
        on card_keys.rate_plan_id = rates.rate_plan_id
        and card_keys.service_type = rates.service_type
        and rates.zone in (card_keys.zone, '*')

),

card_promotions as (

    select
        card_keys.rate_plan_id,
        card_keys.service_type,
        card_keys.zone as card_zone,
        promotions.promotion_id,
        promotions.time_band,
        promotions.segment,
        promotions.discount_percent,
        promotions.priority,
        promotions.valid_from,
        promotions.valid_to
    from card_keys
    inner join promotions
        on promotions.rate_plan_id in (card_keys.rate_plan_id, '*')
        and promotions.service_type in (card_keys.service_type, '*')
        and promotions.zone in (card_keys.zone, '*')

),

-- The first period begins with the calendar: a plan that offers a service has a card for it on every day.
changes as (

    select rate_plan_id, service_type, zone, date '0001-01-01' as changes_on from card_keys
    union
    select rate_plan_id, service_type, card_zone, explode(array(valid_from, valid_to)) from card_rates
    union
    select rate_plan_id, service_type, card_zone, explode(array(valid_from, valid_to)) from card_promotions
    union
    select
        card_keys.rate_plan_id,
        card_keys.service_type,
        card_keys.zone,
        explode(array(rate_plans.valid_from, rate_plans.valid_to))
    from card_keys
    inner join rate_plans on card_keys.rate_plan_id = rate_plans.rate_plan_id

),

periods as (

    select
        rate_plan_id,
        service_type,
        zone,
        changes_on as valid_from,
        lead(changes_on) over (partition by rate_plan_id, service_type, zone order by changes_on) as valid_to
    from changes
    where changes_on is not null

),

numbered_periods as (

    select *, row_number() over (order by rate_plan_id, service_type, zone, valid_from) as period_id
    from periods

),

---------- what holds in a period

plans_in_force as (

    select periods.period_id, max_by(rate_plans.currency, rate_plans.valid_from) as currency
    from numbered_periods as periods
    inner join rate_plans
        on periods.rate_plan_id = rate_plans.rate_plan_id
        and rate_plans.valid_from <= periods.valid_from
        and (rate_plans.valid_to is null or rate_plans.valid_to > periods.valid_from)
    group by periods.period_id

),

-- Rows alike in product, zone, band and valid_from are the steps of one rate.
rates_in_force as (

    select
        periods.period_id,
        card_rates.product_id,
        card_rates.zone,
        card_rates.time_band,
        sort_array(
            collect_list(
                named_struct(
                    'from_unit', card_rates.from_unit,
                    'product_rate_id', card_rates.product_rate_id,
                    'unit_price', card_rates.unit_price,
                    'unit_size', card_rates.unit_size,
                    'initial_increment', coalesce(nullif(card_rates.initial_increment, 0), card_rates.increment),
                    'increment', card_rates.increment,
                    'connect_fee', coalesce(card_rates.connect_fee, 0),
                    'max_charge', card_rates.max_charge,
                    'rounding_mode', card_rates.rounding_mode,
                    'rounding_scale', card_rates.rounding_scale
                )
            )
        ) as steps,
        count(*) > count(distinct card_rates.from_unit) as has_doubled_step,
        min(card_rates.from_unit) = 0
        and every(
            card_rates.unit_price is not null
            and card_rates.unit_size > 0
            and card_rates.increment > 0
            and coalesce(card_rates.initial_increment, 0) >= 0
        ) as is_usable
    from numbered_periods as periods
    inner join plans_in_force on periods.period_id = plans_in_force.period_id
    inner join card_rates
        on periods.rate_plan_id = card_rates.rate_plan_id
        and periods.service_type = card_rates.service_type
        and periods.zone = card_rates.card_zone
        and card_rates.valid_from <= periods.valid_from
        and (card_rates.valid_to is null or card_rates.valid_to > periods.valid_from)
    group by
        periods.period_id, card_rates.product_id, card_rates.zone, card_rates.time_band, card_rates.valid_from

),

---------- which of them applies while certain bands hold

-- An exact zone beats `*`, then a named band beats `*`.
ranked_rates as (

    select
        rates_in_force.*,
        band_sets.band_set,
        rank() over (
            partition by rates_in_force.period_id, band_sets.band_set
            order by rates_in_force.zone = '*', rates_in_force.time_band = '*'
        ) as preference
    from rates_in_force
    inner join band_sets
        on rates_in_force.time_band = '*' or array_contains(band_sets.bands, rates_in_force.time_band)

),

applying_rates as (

    select
        period_id,
        band_set,
        case
            when count(*) > 1 or any(has_doubled_step) then 'AMBIGUOUS_RATE'
            when not every(is_usable) then 'NO_RATE'
        end as fault,
        min(named_struct('product_id', product_id, 'time_band', time_band, 'steps', steps)) as rate
    from ranked_rates
    where preference = 1
    group by period_id, band_set

),

-- In the order in which they are tried: of those for the customer's segment the first one counts.
applying_promotions as (

    select
        periods.period_id,
        band_sets.band_set,
        sort_array(
            collect_list(
                named_struct(
                    'priority', card_promotions.priority,
                    'promotion_id', card_promotions.promotion_id,
                    'segment', card_promotions.segment,
                    'discount_percent', card_promotions.discount_percent
                )
            )
        ) as promotions
    from numbered_periods as periods
    inner join card_promotions
        on periods.rate_plan_id = card_promotions.rate_plan_id
        and periods.service_type = card_promotions.service_type
        and periods.zone = card_promotions.card_zone
        and card_promotions.valid_from <= periods.valid_from
        and (card_promotions.valid_to is null or card_promotions.valid_to > periods.valid_from)
    inner join band_sets
        on card_promotions.time_band = '*' or array_contains(band_sets.bands, card_promotions.time_band)
    group by periods.period_id, band_sets.band_set

),

---------- the card

-- A stretch is a range of elapsed units, up to `until`, in which all pulses are of one length and price. The first
-- stretch of a rate is its initial pulse: pulses begin in it only at 0.
priced_rates as (

    select
        applying_rates.period_id,
        applying_rates.band_set,
        named_struct(
            'product_id', if(applying_rates.fault is null, rate.product_id, null),
            'time_band', if(applying_rates.fault is null, rate.time_band, null),
            'fault', applying_rates.fault,
            'connect_fee', rate.steps[0].connect_fee,
            'max_charge', rate.steps[0].max_charge,
            'rounding_mode', rate.steps[0].rounding_mode,
            'units_per_one', cast(rpad('1', coalesce(rate.steps[0].rounding_scale, 6) + 1, '0') as decimal(7, 0)),
            'initial_stretch', named_struct(
                'until', 1L,
                'increment', {{ millionths('rate.steps[0].initial_increment') }},
                'product_rate_id', rate.steps[0].product_rate_id,
                'unit_price', rate.steps[0].unit_price,
                'unit_size', rate.steps[0].unit_size,
                'fault', applying_rates.fault
            ),
            'stretches', transform(
                rate.steps,
                (step, i) -> named_struct(
                    'until', coalesce({{ millionths('get(rate.steps, i + 1).from_unit') }}, {{ endless() }}),
                    'increment', {{ millionths('step.increment') }},
                    'product_rate_id', step.product_rate_id,
                    'unit_price', step.unit_price,
                    'unit_size', step.unit_size,
                    'fault', applying_rates.fault
                )
            ),
            'promotions', applying_promotions.promotions
        ) as rate
    from applying_rates
    left join applying_promotions
        on applying_rates.period_id = applying_promotions.period_id
        and applying_rates.band_set = applying_promotions.band_set

),

rates_by_band_set as (

    select period_id, map_from_entries(collect_list(named_struct('band_set', band_set, 'rate', rate))) as rates
    from priced_rates
    group by period_id

),

cards as (

    select
        periods.rate_plan_id,
        periods.service_type,
        periods.zone,
        periods.valid_from,
        periods.valid_to,
        plans_in_force.currency,
        rates_by_band_set.rates
    from numbered_periods as periods
    left join plans_in_force on periods.period_id = plans_in_force.period_id
    left join rates_by_band_set on periods.period_id = rates_by_band_set.period_id

)

select * from cards
