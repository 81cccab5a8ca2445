{#- Parts of a row's list of faults, for `concat_ws('; ', ...)`, which leaves out those that do not apply. -#}

{#- A fault for each of the named columns that is empty. -#}
{% macro missing() -%}
    {%- for column in varargs -%}
        case when {{ column }} is null then '{{ column }} is missing' end{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#- A fault for each of the named columns that is below zero. -#}
{% macro negative() -%}
    {%- for column in varargs -%}
        case when {{ column }} < 0 then '{{ column }} is negative' end{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#- A fault where the column is none of the values that follow it. -#}
{% macro not_one_of(column) -%}
    case
        when {{ column }} not in ('{{ varargs | join("', '") }}')
            then concat('{{ column }} is ', {{ column }}, ', none of {{ varargs | join(", ") }}')
    end
{%- endmacro %}
