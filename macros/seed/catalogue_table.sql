{% macro catalogue_table(seed, served) %}
    {#- Both relations are arguments so that dbt sees both dependencies, whichever one is read. On PostgreSQL the
        served table is the catalogue. -#}
    {%- if var('catalogue') not in ('seeds', 'postgres') -%}
        {{ exceptions.raise_compiler_error(
            "variable catalogue is `seeds` or `postgres`, not `" ~ var('catalogue') ~ "`"
        ) }}
    {%- endif -%}
    {{- served if var('catalogue') == 'postgres' or target.type == 'postgres' else seed -}}
{% endmacro %}
