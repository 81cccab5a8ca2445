{{ config(materialized='ephemeral') }}

with

cards as (

    select * from {{ ref('rate_cards') }}

),

rates as (

    select
        rate_plan_id,
        service_type,
        zone,
        valid_from,
        valid_to,
        currency,
        promotions,
        explode(rates) as (band_set, rate)
    from cards

),

-- Pulse after pulse: a stretch takes up where the last pulse before it ended, and may find nothing left of itself.
paced_rates as (

    select
        *,
        aggregate(
            if(rate.fault is null, rate.stretches, array()),
            named_struct(
                'elapsed', 0L,
                'steps', cast(
                    array()
                    as array<struct<
                        above: bigint,
                        up_to: bigint,
                        increment: bigint,
                        product_rate_id: string,
                        unit_price: decimal(18, 6),
                        unit_size: decimal(18, 6)
                    >>
                )
            ),
            (pace, stretch) -> if(
                pace.elapsed >= stretch.until,
                pace,
                transform(
                    array(
                        if(
                            stretch.until = {{ endless() }},
                            stretch.until,
                            pace.elapsed
                            + stretch.increment * ((stretch.until - pace.elapsed - 1) div stretch.increment + 1)
                        )
                    ),
                    up_to -> named_struct(
                        'elapsed', up_to,
                        'steps', concat(
                            pace.steps,
                            array(
                                named_struct(
                                    'above', pace.elapsed,
                                    'up_to', up_to,
                                    'increment', stretch.increment,
                                    'product_rate_id', stretch.product_rate_id,
                                    'unit_price', stretch.unit_price,
                                    'unit_size', stretch.unit_size
                                )
                            )
                        )
                    )
                )[0]
            ),
            pace -> pace.steps
        ) as steps
    from rates

),

-- A rate with a fault is one step without a price, in which all usage ends.
steps as (

    select
        * except (steps),
        posexplode(
            if(
                rate.fault is null,
                steps,
                array(
                    named_struct(
                        'above', 0L,
                        'up_to', {{ endless() }},
                        'increment', cast(null as bigint),
                        'product_rate_id', cast(null as string),
                        'unit_price', cast(null as decimal(18, 6)),
                        'unit_size', cast(null as decimal(18, 6))
                    )
                )
            )
        ) as (step_number, step)
    from paced_rates

),

-- The initial pulse and the first step are of one row of product_rates, and one charge.
counted_steps as (

    select
        *,
        coalesce(
            sum((step.up_to - step.above - 1) div step.increment + 1) over earlier_of_same_row, 0
        ) as pulses_before,
        coalesce(sum(step.up_to - step.above) over earlier_of_same_row, 0) as units_before,
        lead(step.product_rate_id) over (
            partition by rate_plan_id, service_type, zone, valid_from, band_set order by step_number
        ) as next_product_rate_id
    from steps
    window
        earlier_of_same_row as (
            partition by rate_plan_id, service_type, zone, valid_from, band_set, step.product_rate_id
            order by step_number
            rows between unbounded preceding and 1 preceding
        )

),

charged_steps as (

    select
        *,
        collect_list(
            if(
                next_product_rate_id <> step.product_rate_id,
                named_struct(
                    'product_rate_id', step.product_rate_id,
                    'pulses', pulses_before + (step.up_to - step.above - 1) div step.increment + 1,
                    'units', units_before + step.up_to - step.above,
                    'amount', {{ exact_charge(
                        'step.unit_price', '(units_before + step.up_to - step.above)', 'step.unit_size'
                    ) }}
                ),
                null
            )
        ) over (
            partition by rate_plan_id, service_type, zone, valid_from, band_set
            order by step_number
            rows between unbounded preceding and 1 preceding
        ) as earlier_charges
    from counted_steps

)

select
    rate_plan_id,
    service_type,
    zone,
    valid_from,
    valid_to,
    currency,
    promotions,
    band_set,
    rate,
    step.above,
    step.up_to,
    step.increment,
    step.product_rate_id,
    step.unit_price,
    step.unit_size,
    pulses_before,
    units_before,
    {{ listed_charges('earlier_charges') }} as earlier_charges,
    {{ sum_of_amounts('earlier_charges') }} as earlier_amount,
    {{ sum_of_amounts(listed_charges('earlier_charges')) }} as earlier_listed_amount
from charged_steps
