{% macro millionths(amount) -%}
    {#- Units have 6 decimals and 12 digits before them: as whole millionths they fit a bigint, whose arithmetic is
        exact. -#}
    cast({{ amount }} * 1000000 as bigint)
{%- endmacro %}
