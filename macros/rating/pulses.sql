{% macro endless() -%}
    {#- Millionths of a unit that no record reaches: its quantity has 18 digits. -#}
    9000000000000000000L
{%- endmacro %}


{% macro from_millionths(units) -%}
    try_cast(cast({{ units }} as decimal(19, 0)) * 0.000001 as decimal(18, 6))
{%- endmacro %}


{% macro stretches_of_slice(stretches, slice_ends_at) -%}
    {#- The stretches of a rate, cut where the slice of the calendar ends; no rate is one stretch in which nothing has
        a price. -#}
    transform(
        coalesce(
            {{ stretches }},
            array(
                named_struct(
                    'until', {{ endless() }},
                    'increment', 0L,
                    'product_rate_id', cast(null as string),
                    'unit_price', cast(null as decimal(18, 6)),
                    'unit_size', cast(null as decimal(18, 6)),
                    'fault', 'NO_RATE'
                )
            )
        ),
        stretch -> named_struct(
            'until', least(stretch.until, unix_micros({{ slice_ends_at }}) - unix_micros(event_time)),
            'increment', stretch.increment,
            'product_rate_id', stretch.product_rate_id,
            'unit_price', stretch.unit_price,
            'unit_size', stretch.unit_size,
            'fault', stretch.fault
        )
    )
{%- endmacro %}


{% macro pulses_begun() -%}
    {#- Pulses that begin before the stretch or the usage is over; the last one may outlast both. -#}
    ((least(stretch.until, quantity_millionths) - meter.elapsed + stretch.increment - 1) div stretch.increment)
{%- endmacro %}


{% macro exact_charge(unit_price, millionths, unit_size) -%}
    {#- Price by units has 12 decimals; the cast to 26 digits is what lets the quotient keep 18 decimals. What does not
        fit is null, and the record an error, rather than the end of the run. -#}
    try_cast(
        try_cast(
            {{ unit_price }} * cast(cast({{ millionths }} as decimal(19, 0)) * 0.000001 as decimal(19, 6))
            as decimal(26, 12)
        )
        / {{ unit_size }} as decimal(36, 18)
    )
{%- endmacro %}


{% macro gathered_charges(parts) -%}
    {#- One charge a row of product_rates: a call may come back to a rate that it had left. -#}
    transform(
        array_distinct(transform({{ parts }}, part -> part.product_rate_id)),
        charged_id -> aggregate(
            filter({{ parts }}, part -> part.product_rate_id = charged_id),
            named_struct(
                'product_rate_id', charged_id, 'pulses', 0L, 'units', 0L, 'amount', cast(0 as decimal(36, 18))
            ),
            (charge, part) -> named_struct(
                'product_rate_id', charged_id,
                'pulses', charge.pulses + part.pulses,
                'units', charge.units + part.units,
                'amount', try_cast(charge.amount + part.amount as decimal(36, 18))
            )
        )
    )
{%- endmacro %}


{% macro charges_before_last(charges) -%}
    slice({{ charges }}, 1, greatest(size({{ charges }}) - 1, 0))
{%- endmacro %}


{% macro sum_of_amounts(charges) -%}
    aggregate(
        {{ charges }},
        cast(0 as decimal(36, 18)),
        (total, charge) -> try_cast(total + try_cast(charge.amount as decimal(36, 18)) as decimal(36, 18))
    )
{%- endmacro %}


{% macro listed_charges(charges) -%}
    {#- As a clerk writes them: units with 6 decimals, amounts with 12, half up. -#}
    transform(
        {{ charges }},
        charge -> named_struct(
            'product_rate_id', charge.product_rate_id,
            'pulses', charge.pulses,
            'units', {{ from_millionths('charge.units') }},
            'amount', cast(round(charge.amount, 12) as decimal(38, 12))
        )
    )
{%- endmacro %}
