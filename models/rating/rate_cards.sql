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

plan_services as (

    select distinct rate_plan_id, service_type from rates

),

---------- for which zones there is a card

plan_promotions as (

    select plan_services.rate_plan_id as plan_of_card, plan_services.service_type as service_of_card, promotions.*
    from plan_services
    inner join promotions
        on promotions.rate_plan_id in (plan_services.rate_plan_id, '*')
        and promotions.service_type in (plan_services.service_type, '*')

),

-- Zones that neither a rate nor a promotion names fare alike: they share the card of `*`.
card_zones as (

    select rate_plan_id, service_type, '*' as zone from plan_services
    union
    select rate_plan_id, service_type, zone from rates
    where zone is not null
    union
    select plan_of_card, service_of_card, zone from plan_promotions

),

---------- for which time

-- The first period begins with the calendar: a plan that offers a service has a card for it on every day.
changes as (

    select rate_plan_id, service_type, explode(array(date '0001-01-01', valid_from, valid_to)) as changes_on
    from rates
    union
    select
        plan_services.rate_plan_id,
        plan_services.service_type,
        explode(array(rate_plans.valid_from, rate_plans.valid_to)) as changes_on
    from plan_services
    inner join rate_plans on plan_services.rate_plan_id = rate_plans.rate_plan_id

),

periods as (

    select
        rate_plan_id,
        service_type,
        changes_on as valid_from,
        lead(changes_on) over (partition by rate_plan_id, service_type order by changes_on) as valid_to
    from changes
    where changes_on is not null

),

plan_periods as (

    select
        periods.rate_plan_id,
        periods.service_type,
        periods.valid_from,
        periods.valid_to,
        max_by(rate_plans.currency, rate_plans.valid_from) as currency
    from periods
    left join rate_plans
        on periods.rate_plan_id = rate_plans.rate_plan_id
        and periods.valid_from >= rate_plans.valid_from
        and (rate_plans.valid_to is null or periods.valid_from < rate_plans.valid_to)
    group by periods.rate_plan_id, periods.service_type, periods.valid_from, periods.valid_to

),

cards as (

    select
        card_zones.rate_plan_id,
        card_zones.service_type,
        card_zones.zone,
        plan_periods.valid_from,
        plan_periods.valid_to,
        plan_periods.currency
    from card_zones
    inner join plan_periods
        on card_zones.rate_plan_id = plan_periods.rate_plan_id
        and card_zones.service_type = plan_periods.service_type

),

---------- which rates are on it

-- Rows alike in product, zone, band and valid_from are the steps of one rate. Without a plan in force there is none.
card_rates as (

    select
        cards.*,
        rates.product_id,
        rates.zone as rate_zone,
        rates.time_band,
        sort_array(
            collect_list(
                named_struct(
                    'from_unit', rates.from_unit,
                    'product_rate_id', rates.product_rate_id,
                    'unit_price', rates.unit_price,
                    'unit_size', rates.unit_size,
                    'initial_increment', coalesce(nullif(rates.initial_increment, 0), rates.increment),
                    'increment', rates.increment,
                    'connect_fee', coalesce(rates.connect_fee, 0),
                    'max_charge', rates.max_charge,
                    'rounding_mode', rates.rounding_mode,
                    'rounding_scale', rates.rounding_scale
                )
            )
        ) as steps,
        count(*) > count(distinct rates.from_unit) as has_doubled_step,
        min(rates.from_unit) = 0
        and every(
            rates.unit_price is not null
            and rates.unit_size > 0
            and rates.increment > 0
            and coalesce(rates.initial_increment, 0) >= 0
            and coalesce(rates.rounding_scale, 6) between 0 and 6
        ) as is_usable
    from cards
    left join rates
        on cards.rate_plan_id = rates.rate_plan_id
        and cards.service_type = rates.service_type
        and rates.zone in (cards.zone, '*')
        and cards.valid_from >= rates.valid_from
        and (rates.valid_to is null or cards.valid_from < rates.valid_to)
        and cards.currency is not null
    group by
        cards.rate_plan_id,
        cards.service_type,
        cards.zone,
        cards.valid_from,
        cards.valid_to,
        cards.currency,
        rates.product_id,
        rates.zone,
        rates.time_band

),

---------- which of them applies while certain bands hold

-- An exact zone beats `*`, then a named band beats `*`.
ranked_rates as (

    select
        card_rates.*,
        band_sets.band_set,
        rank() over (
            partition by
                card_rates.rate_plan_id,
                card_rates.service_type,
                card_rates.zone,
                card_rates.valid_from,
                band_sets.band_set
            order by card_rates.rate_zone = '*', card_rates.time_band = '*'
        ) as preference
    from card_rates
    left join band_sets
        on card_rates.time_band = '*' or array_contains(band_sets.bands, card_rates.time_band)

),

applying_rates as (

    select
        rate_plan_id,
        service_type,
        zone,
        valid_from,
        valid_to,
        currency,
        band_set,
        case
            when count(*) > 1 or any(has_doubled_step) then 'AMBIGUOUS_RATE'
            when not every(is_usable) then 'NO_RATE'
        end as fault,
        min(product_id) as product_id,
        min(time_band) as time_band,
        min(steps) as steps
    from ranked_rates
    where preference = 1
    group by rate_plan_id, service_type, zone, valid_from, valid_to, currency, band_set

),

-- A stretch is a range of elapsed units, up to `until`, in which all pulses are of one length and price. The first
-- stretch of a rate is its initial pulse: pulses begin in it only at 0.
priced_rates as (

    select
        *,
        named_struct(
            'product_id', if(fault is null, product_id, null),
            'time_band', if(fault is null, time_band, null),
            'fault', fault,
            'connect_fee', steps[0].connect_fee,
            'max_charge', steps[0].max_charge,
            'rounding_mode', steps[0].rounding_mode,
            'units_per_one', try_cast(rpad('1', coalesce(steps[0].rounding_scale, 6) + 1, '0') as decimal(7, 0)),
            'stretches', transform(
                concat(array(steps[0]), steps),
                (step, i) -> named_struct(
                    'until', case
                        when i = 0 then 1L
                        else coalesce({{ millionths('get(steps, i).from_unit') }}, {{ endless() }})
                    end,
                    'increment', {{ millionths('if(i = 0, step.initial_increment, step.increment)') }},
                    'product_rate_id', step.product_rate_id,
                    'unit_price', step.unit_price,
                    'unit_size', step.unit_size,
                    'fault', fault
                )
            )
        ) as rate
    from applying_rates

),

---------- the card

promotions_of_zones as (

    select
        card_zones.rate_plan_id,
        card_zones.service_type,
        card_zones.zone,
        sort_array(
            collect_list(
                named_struct(
                    'priority', promotions.priority,
                    'promotion_id', promotions.promotion_id,
                    'time_band', promotions.time_band,
                    'segment', promotions.segment,
                    'discount_percent', promotions.discount_percent,
                    'valid_from', promotions.valid_from,
                    'valid_to', promotions.valid_to
                )
            )
        ) as promotions
    from card_zones
    inner join plan_promotions as promotions
        on card_zones.rate_plan_id = promotions.plan_of_card
        and card_zones.service_type = promotions.service_of_card
        and promotions.zone in (card_zones.zone, '*')
    group by card_zones.rate_plan_id, card_zones.service_type, card_zones.zone

),

rates_of_cards as (

    select
        rate_plan_id,
        service_type,
        zone,
        valid_from,
        valid_to,
        currency,
        map_from_entries(
            collect_list(named_struct('band_set', band_set, 'rate', rate)) filter (where band_set is not null)
        ) as rates
    from priced_rates
    group by rate_plan_id, service_type, zone, valid_from, valid_to, currency

),

final as (

    select
        rates_of_cards.rate_plan_id,
        rates_of_cards.service_type,
        rates_of_cards.zone,
        rates_of_cards.valid_from,
        rates_of_cards.valid_to,
        rates_of_cards.currency,
        rates_of_cards.rates,
        promotions_of_zones.promotions
    from rates_of_cards
    left join promotions_of_zones
        on rates_of_cards.rate_plan_id = promotions_of_zones.rate_plan_id
        and rates_of_cards.service_type = promotions_of_zones.service_type
        and rates_of_cards.zone = promotions_of_zones.zone

)

select * from final
