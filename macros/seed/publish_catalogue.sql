{% macro publish_catalogue(results) %}
    {#- Runs when a command ends. After `dbt seed --target postgres` it moves what was seeded from the loading schema
        into the served tables in one transaction: whoever reads meanwhile sees the catalogue before or the one after,
        and one that breaks a key or a check is refused as a whole. `--target spark` has no such tables. -#}
    {%- if execute and target.type == 'postgres' -%}
        {%- set seeds = results | selectattr('node.resource_type', 'equalto', 'seed') | map(attribute='node') | list -%}
        {%- if seeds and results | rejectattr('status', 'equalto', 'success') | list -%}
            {{ log('A seed failed, so the catalogue that PostgreSQL serves stays what it was.', info=true) }}
        {%- else -%}
            {%- for seed in seeds %}
            delete from {{ target.schema }}.{{ seed.name }};
            {%- endfor %}
            {%- for seed in seeds %}
            {%- set columns = seed.config.column_types.keys() | join(', ') %}
            insert into {{ target.schema }}.{{ seed.name }} ({{ columns }})
            select {{ columns }} from {{ seed.relation_name }};
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
