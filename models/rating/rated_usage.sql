{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='record_id',
        on_schema_change='fail',
        tblproperties={'delta.dataSkippingStatsColumns': 'landed_at,rated_at,event_time,rating_status'},
    )
}}

with

landed_usage as (

    select * from {{ ref('stg_landing__cdr') }}
    where landed_at <= (select cutoff.landed_until from {{ ref('rating_cutoff') }} as cutoff)

),

-- What was landed since the last run, and what had no price by then: not in one condition, for Spark would sort the
-- whole landing zone to meet it.
due_usage as (

    select * from landed_usage
    {%- if is_incremental() %}
    where landed_at > (select coalesce(max(before.landed_at), timestamp '0001-01-01') from {{ this }} as before)
    union all
    select * from landed_usage
    where
        record_id in (
            select before.record_id from {{ this }} as before
            where before.rating_status <> 'rated'
        )
    {%- endif %}

),

usage as (

    select
        *,
        {{ local_time('event_time') }} as local_time
    from due_usage

),

---------- who used it

customers as (

    select * from {{ ref('stg_crm__customers') }}

),

-- A number has one holder at a time: whoever took it last. The CRM may free it only later in the old holder's row.
number_holders as (

    select
        *,
        lead(valid_from) over (partition by msisdn order by valid_from, customer_id) as passed_on_at
    from customers

),

status_rules as (

    select customer_status, every(ratable) as ratable, min(reason) as reason
    from {{ ref('stg_catalogue__customer_status_rules') }}
    group by customer_status

),

held_usage as (

    select
        usage.*,
        cast(usage.local_time as date) as local_date,
        holders.customer_id,
        holders.subscription_type,
        holders.segment,
        holders.region,
        holders.rate_plan_id,
        case
            when holders.customer_id is null then 'NO_CUSTOMER'
            when cast(usage.local_time as date) >= holders.termination_date then 'CUSTOMER_TERMINATED'
            when not status_rules.ratable
                then coalesce(status_rules.reason, concat('CUSTOMER_', upper(holders.customer_status)))
        end as refusal
    from usage
    left join number_holders as holders
        on usage.msisdn = holders.msisdn
        and usage.event_time >= holders.valid_from
        and (holders.valid_to is null or usage.event_time < holders.valid_to)
        and (holders.passed_on_at is null or usage.event_time < holders.passed_on_at)
    left join status_rules on holders.customer_status = status_rules.customer_status

),

---------- where to, or where

zone_prefixes as (

    select 'number' as kind, if(prefix = '*', '', prefix) as prefix, zone
    from {{ ref('stg_catalogue__destination_prefixes') }}
    union all
    select 'cell' as kind, if(cell_prefix = '*', '', cell_prefix) as prefix, zone
    from {{ ref('stg_catalogue__cell_zones') }}

),

-- As much of a number or cell as any prefix can tell apart: a million numbers begin in a few thousand ways.
placed_usage as (

    select
        *,
        if(record_type = 'data', 'cell', 'number') as kind,
        substr(
            if(record_type = 'data', cell_id, peer_msisdn),
            1,
            (select coalesce(max(length(zone_prefixes.prefix)), 0) from zone_prefixes)
        ) as place
    from held_usage

),

places as (

    select distinct kind, place
    from placed_usage
    where place is not null

),

place_prefixes as (

    select
        kind,
        place,
        explode(transform(sequence(0, length(place)), n -> substr(place, 1, n))) as prefix
    from places

),

zones_of_places as (

    select
        place_prefixes.kind,
        place_prefixes.place,
        max(named_struct('length', length(zone_prefixes.prefix), 'zone', zone_prefixes.zone)).zone as zone
    from place_prefixes
    inner join zone_prefixes
        on place_prefixes.kind = zone_prefixes.kind
        and place_prefixes.prefix = zone_prefixes.prefix
    group by place_prefixes.kind, place_prefixes.place

),

-- few enough to be at hand everywhere: sorting all usage by place to meet them costs more than to price it
zoned_usage as (

    select /*+ broadcast(zones_of_places) */
        placed_usage.*,
        coalesce(zones_of_places.zone, if(placed_usage.record_type = 'data', 'home', null)) as zone
    from placed_usage
    left join zones_of_places
        on placed_usage.kind = zones_of_places.kind
        and placed_usage.place = zones_of_places.place

),

---------- at which rate

calendar as (

    select * from {{ ref('rating_calendar') }}

),

cards as (

    select * from {{ ref('rate_cards') }}

),

plan_services as (

    select distinct rate_plan_id, service_type from cards

),

zones_with_cards as (

    select distinct rate_plan_id, service_type, zone from cards

),

-- What prices usage that ends in a step is one value: Spark compiles no method above 8,000 bytes, and one that copies
-- each of these columns for every record, by itself, is longer.
rate_steps as (

    select
        rate_plan_id,
        service_type,
        zone,
        valid_from,
        valid_to,
        band_set,
        above,
        up_to,
        named_struct(
            'currency', currency,
            'product_id', rate.product_id,
            'time_band', rate.time_band,
            'fault', rate.fault,
            'connect_fee', rate.connect_fee,
            'max_charge', rate.max_charge,
            'rounding_mode', rate.rounding_mode,
            'rounding', {{ rounding_addend('rate.rounding_mode') }},
            'units_per_one', rate.units_per_one,
            'least_amount', cast(1 / rate.units_per_one as decimal(7, 6)),
            'promotions', filter(
                promotions,
                promotion -> promotion.time_band = '*'
                or array_contains(from_json(band_set, 'array<string>'), promotion.time_band)
            ),
            'above', above,
            'increment', increment,
            'product_rate_id', product_rate_id,
            'unit_price', unit_price,
            'unit_size', unit_size,
            'pulses_before', pulses_before,
            'units_before', units_before,
            'before', named_struct(
                'charges', earlier_charges, 'amount', earlier_amount, 'listed_amount', earlier_listed_amount
            )
        ) as step
    from {{ ref('int_rating__rate_steps') }}

),

timed_usage as (

    select
        usage.*,
        calendar.band_set,
        calendar.ends_at as slice_ends_at,
        calendar.following_slices,
        coalesce(zones_with_cards.zone, '*') as card_zone,
        {{ millionths('usage.quantity') }} as quantity_millionths,

        -- a call that goes on when the bands change; messages and data are priced by their start
        usage.record_type = 'voice'
        and {{ millionths('usage.quantity') }} > unix_micros(calendar.ends_at) - unix_micros(usage.event_time)
            as outlasts_slice,

        case
            when usage.refusal is not null then usage.refusal
            when plan_services.rate_plan_id is null then 'SERVICE_NOT_IN_PLAN'
        end as reason_to_reject
    from zoned_usage as usage
    left join calendar
        on usage.local_date = calendar.local_date
        and usage.event_time >= calendar.starts_at
        and usage.event_time < calendar.ends_at
    left join plan_services
        on usage.rate_plan_id = plan_services.rate_plan_id
        and usage.record_type = plan_services.service_type
    left join zones_with_cards
        on usage.rate_plan_id = zones_with_cards.rate_plan_id
        and usage.record_type = zones_with_cards.service_type
        and usage.zone = zones_with_cards.zone

),

-- few calls go on in other slices: for the others their list is not carried along
lasting_usage as (

    select
        * except (following_slices),
        if(outlasts_slice, following_slices, null) as following_slices
    from timed_usage

),

carded_usage as (

    select
        usage.*,
        rate_steps.step,
        cards.rates as rates_of_all_slices
    from lasting_usage as usage
    left join rate_steps
        on usage.rate_plan_id = rate_steps.rate_plan_id
        and usage.record_type = rate_steps.service_type
        and usage.card_zone = rate_steps.zone
        and usage.band_set = rate_steps.band_set
        and usage.local_date >= rate_steps.valid_from
        and (rate_steps.valid_to is null or usage.local_date < rate_steps.valid_to)
        and greatest(usage.quantity_millionths, 1) > rate_steps.above
        and usage.quantity_millionths <= rate_steps.up_to
    -- for a call that goes on in other slices
    left join cards
        on usage.outlasts_slice
        and rate_steps.rate_plan_id = cards.rate_plan_id
        and rate_steps.service_type = cards.service_type
        and rate_steps.zone = cards.zone
        and rate_steps.valid_from = cards.valid_from

),

---------- in which pulses

-- Units are counted in whole millionths; a millionth of a second of a call is a microsecond of the clock.
-- A call that outlasts its slice is priced slice by slice, with the rates of each.
stretched_usage as (

    select
        *,
        get(
            filter(
                step.promotions,
                promotion -> promotion.segment in (segment, '*')
                and promotion.valid_from <= local_date
                and (promotion.valid_to is null or promotion.valid_to > local_date)
            ),
            0
        ) as promotion,
        case
            when outlasts_slice and reason_to_reject is null and step is not null and step.fault is null
                then concat(
                    {{ stretches_of_slice('rates_of_all_slices[band_set].stretches', 'slice_ends_at') }},
                    flatten(
                        transform(
                            filter(
                                following_slices,
                                slice -> slice.starts_at >= slice_ends_at
                                and unix_micros(slice.starts_at) - unix_micros(event_time) < quantity_millionths
                            ),
                            slice -> {{ stretches_of_slice(
                                'slice(rates_of_all_slices[slice.band_set].stretches, 2, 1000)', 'slice.ends_at'
                            ) }}
                        )
                    )
                )
        end as stretches
    from carded_usage

),

-- Pulse after pulse in order: a stretch takes up where the one before it ended, and may find nothing left of itself.
walked_usage as (

    select
        * except (step),
        step.* except (fault, promotions),
        if(step is null, 'NO_RATE', step.fault) as rate_fault,
        aggregate(
            stretches,
            named_struct(
                'elapsed', 0L,
                'fault', cast(null as string),
                'parts', cast(
                    array()
                    as array<struct<product_rate_id: string, pulses: bigint, units: bigint, amount: decimal(36, 18)>>
                )
            ),
            (meter, stretch) -> case
                when meter.fault is not null or meter.elapsed >= least(stretch.until, quantity_millionths) then meter
                when stretch.fault is not null
                    then named_struct('elapsed', meter.elapsed, 'fault', stretch.fault, 'parts', meter.parts)
                else named_struct(
                    'elapsed', meter.elapsed + stretch.increment * {{ pulses_begun() }},
                    'fault', cast(null as string),
                    'parts', concat(
                        meter.parts,
                        transform(
                            array({{ pulses_begun() }}),
                            pulses -> named_struct(
                                'product_rate_id', stretch.product_rate_id,
                                'pulses', pulses,
                                'units', pulses * stretch.increment,
                                'amount', {{ exact_charge(
                                    'stretch.unit_price', 'pulses * stretch.increment', 'stretch.unit_size'
                                ) }}
                            )
                        )
                    )
                )
            end,
            meter -> transform(
                array({{ gathered_charges('meter.parts') }}),
                charges -> named_struct(
                    'elapsed', meter.elapsed,
                    'fault', meter.fault,
                    'last_charge', get(charges, size(charges) - 1),
                    'before', named_struct(
                        'charges', {{ listed_charges(charges_before_last('charges')) }},
                        'amount', {{ sum_of_amounts(charges_before_last('charges')) }},
                        'listed_amount', {{ sum_of_amounts(listed_charges(charges_before_last('charges'))) }}
                    )
                )
            )[0]
        ) as walk
    from stretched_usage

),

---------- for which charges

stepped_usage as (

    select
        *,
        if(quantity_millionths > 0, (quantity_millionths - above - 1) div increment + 1, 0) as step_pulses
    from walked_usage

),

paced_usage as (

    select *, step_pulses * increment as step_millionths
    from stepped_usage

),

-- In either way there is a last charge, if anything was used, and maybe others before it.
charged_usage as (

    select
        *,
        if(outlasts_slice, walk.elapsed, above + step_millionths) as billed_millionths,
        case
            when outlasts_slice then walk.last_charge
            when step_pulses > 0
                then named_struct(
                    'product_rate_id', product_rate_id,
                    'pulses', pulses_before + step_pulses,
                    'units', units_before + step_millionths,
                    'amount', {{ exact_charge(
                        'unit_price', '(units_before + step_millionths)', 'unit_size'
                    ) }}
                )
        end as last_charge,
        if(outlasts_slice, walk.before, before) as charged_before
    from paced_usage

),

---------- at what price

-- Thirds have no last decimal: 18 of them are kept in every amount, and two less in their sum, so that what is whole
-- in exact fractions is whole here before it is rounded up or down.
summed_usage as (

    select
        *,
        {{ from_millionths('billed_millionths') }} as billed_units,
        coalesce(rate_fault, walk.fault) as pulse_fault,
        if(quantity = 0, cast(0 as decimal(18, 6)), connect_fee) as full_connect_fee,
        round(
            try_cast(charged_before.amount + if(last_charge is null, 0, last_charge.amount) as decimal(36, 18)), 16
        ) as pulses_amount
    from charged_usage

),

capped_usage as (

    select
        *,
        case
            when pulses_amount is not null
                then try_cast(least(full_connect_fee + pulses_amount, max_charge) as decimal(28, 16))
        end as capped_amount
    from summed_usage

),

priced_usage as (

    select
        *,
        {{ round_money('capped_amount', 'rounding', 'units_per_one', 'least_amount') }} as list_price
    from capped_usage

),

-- What a clerk adds up: amounts of 12 decimals, half up. Where many thirds would make their sum, capped and rounded,
-- another price than the exact one, the last amount takes the difference.
listed_usage as (

    select
        *,
        cast(round(last_charge.amount, 12) as decimal(36, 18)) as last_listed_amount
    from priced_usage

),

checked_usage as (

    select
        *,
        {{ round_money(
            'try_cast(least(full_connect_fee + charged_before.listed_amount + coalesce(last_listed_amount, 0), max_charge)'
            ~ ' as decimal(28, 16))',
            'rounding',
            'units_per_one',
            'least_amount'
        ) }} as price_of_charges,
        if(rounding_mode = 'up', ceil(pulses_amount, 12), floor(pulses_amount, 12)) - charged_before.listed_amount
            as amount_that_is_left
    from listed_usage

),

explained_usage as (

    select
        *,
        if(
            last_charge is null,
            charged_before.charges,
            concat(
                charged_before.charges,
                array(
                    named_struct(
                        'product_rate_id', last_charge.product_rate_id,
                        'pulses', last_charge.pulses,
                        'units', {{ from_millionths('last_charge.units') }},
                        'amount', cast(
                            if(price_of_charges = list_price, last_listed_amount, amount_that_is_left)
                            as decimal(38, 12)
                        )
                    )
                )
            )
        ) as charges
    from checked_usage

),

---------- with which result

judged_usage as (

    select
        *,
        least(full_connect_fee, list_price) as charged_connect_fee,
        if(
            promotion is null,
            cast(0 as decimal(18, 6)),
            {{ round_money(
                'cast(cast(list_price * promotion.discount_percent as decimal(28, 12)) * 0.01 as decimal(28, 14))',
                rounding_addend("'half_up'"),
                'units_per_one',
                'least_amount'
            ) }}
        ) as promotion_amount,
        case
            when reason_to_reject is not null then null
            when in_purged_month then 'MONTH_PURGED'
            when pulse_fault = 'NO_RATE' then if(zone is null, 'NO_ZONE', 'NO_RATE')
            when pulse_fault is not null then pulse_fault
            when list_price is null or billed_units is null then 'CHARGE_TOO_LARGE'
        end as fault
    from explained_usage

),

rated as (

    select
        *,
        case
            when reason_to_reject = 'NO_CUSTOMER' then 'unmatched'
            when reason_to_reject is not null then 'rejected'
            when fault is not null then 'error'
            else 'rated'
        end as rating_status
    from judged_usage

),

final as (

    select
        record_id,

        ---------- who and what
        customer_id,
        msisdn,
        peer_msisdn,
        record_type,
        event_time,
        subscription_type,
        segment,
        region,

        ---------- how it is priced
        rate_plan_id,
        product_id,
        zone,
        time_band,
        quantity,

        ---------- the price
        if(rating_status = 'rated', billed_units, null) as billed_units,
        if(rating_status = 'rated', charged_connect_fee, null) as connect_fee,
        if(rating_status = 'rated', cast(list_price - charged_connect_fee as decimal(18, 6)), null) as usage_charge,
        if(rating_status = 'rated', promotion.promotion_id, null) as promotion_id,
        if(rating_status = 'rated', promotion_amount, null) as promotion_amount,
        if(rating_status = 'rated', cast(list_price - promotion_amount as decimal(18, 6)), null) as cost,
        if(rating_status = 'rated', currency, null) as currency,
        if(rating_status = 'rated', charges, null) as charges,

        ---------- the outcome
        rating_status,
        coalesce(reason_to_reject, fault) as status_reason,
        {%- if is_incremental() %}
        -- later than any before, even if the clock was set back: exports take what is later than what they have
        greatest(
            current_timestamp(),
            (select max(before.rated_at) + interval '1' microsecond from {{ this }} as before)
        ) as rated_at,
        {%- else %}
        current_timestamp() as rated_at,
        {%- endif %}
        landed_at

    from rated

)

select * from final
{%- if is_incremental() %}
-- A record that fares as it did before keeps its row, and the time at which it was found so. What is rated never comes
-- again: without it, few rows before are left to compare with.
where
    not exists (
        select 1
        from {{ this }} as before
        where
            before.record_id = final.record_id
            and before.rating_status <> 'rated'
            and before.rating_status = final.rating_status
            and before.status_reason <=> final.status_reason
            and before.customer_id <=> final.customer_id
            and before.subscription_type <=> final.subscription_type
            and before.segment <=> final.segment
            and before.region <=> final.region
            and before.rate_plan_id <=> final.rate_plan_id
            and before.product_id <=> final.product_id
            and before.zone <=> final.zone
            and before.time_band <=> final.time_band
    )
{%- endif %}
