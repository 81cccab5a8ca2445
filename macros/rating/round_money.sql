{% macro round_money(amount, mode, units_per_one) -%}
    {#- `round` takes only a constant scale, and rates differ in theirs. The amount must be a decimal of at most 12
        digits before the point and 16 after it: with more, the product would silently lose decimals. -#}
    cast(
        case {{ mode }}
            when 'up' then ceil({{ amount }} * {{ units_per_one }})
            when 'down' then floor({{ amount }} * {{ units_per_one }})
            else floor({{ amount }} * {{ units_per_one }} + 0.5)
        end / {{ units_per_one }} as decimal(18, 6)
    )
{%- endmacro %}
