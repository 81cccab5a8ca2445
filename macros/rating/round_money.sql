{% macro round_money(amount, rounding, units_per_one, least_amount) -%}
    {#- `round` takes only a constant scale, and rates differ in theirs. The amount must be a decimal of at most 12
        digits before the point and 16 after it: with more, the product would silently lose decimals. -#}
    cast(floor({{ amount }} * {{ units_per_one }} + {{ rounding }}) * {{ least_amount }} as decimal(18, 6))
{%- endmacro %}


{% macro rounding_addend(mode) -%}
    {#- What makes `floor` round a decimal of 16 places that way; up is all but the last place of one. -#}
    cast(case {{ mode }} when 'up' then 0.9999999999999999 when 'down' then 0 else 0.5 end as decimal(16, 16))
{%- endmacro %}
