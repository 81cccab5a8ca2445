{#- The local day, in the billing zone, of an instant. -#}
{% macro billing_date(instant) -%}
    cast(from_utc_timestamp({{ instant }}, '{{ var("billing_timezone") }}') as date)
{%- endmacro %}


{#- The instant at which a local day of the billing zone begins. -#}
{% macro billing_day_start(day) -%}
    to_utc_timestamp(cast({{ day }} as timestamp), '{{ var("billing_timezone") }}')
{%- endmacro %}


{#- The start of a local day as ISO 8601 with the zone's offset on that day, as in 2025-06-01T00:00:00+01:00. -#}
{% macro iso_day_start(day) -%}
    {%- set offset -%}
        (unix_seconds(cast({{ day }} as timestamp)) - unix_seconds({{ billing_day_start(day) }}))
    {%- endset -%}
    concat(
        date_format({{ day }}, 'yyyy-MM-dd'), 'T00:00:00',
        case when {{ offset }} < 0 then '-' else '+' end,
        date_format(timestamp_seconds(abs({{ offset }})), 'HH:mm')
    )
{%- endmacro %}


{#- A version of a catalogue row holds on a local day: [valid_from, valid_to), an empty valid_to is open. -#}
{% macro valid_on(row, day) -%}
    ({{ row }}.valid_from <= {{ day }} and ({{ row }}.valid_to is null or {{ day }} < {{ row }}.valid_to))
{%- endmacro %}


{#- Every month's length divides this (28, 29, 30, 31 days): units in such parts stay whole numbers however a month is
    cut into days, so an allowance ends exactly where it should and not a rounding away. -#}
{% macro unit_parts() %}377580{% endmacro %}
