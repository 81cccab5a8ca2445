{#- `show table extended` does not know PostgreSQL's catalog `pg`, and would fail `dbt docs generate`: the tables that
    the server reads from there are described by their sources alone. -#}
{% macro spark__list_relations_without_caching(relation) %}
    {%- if '.' in relation.schema -%}
        {%- do return([]) -%}
    {%- endif -%}
    {%- call statement('list_relations_without_caching', fetch_result=True) -%}
        show table extended in {{ relation.schema }} like '*'
    {%- endcall -%}
    {%- do return(load_result('list_relations_without_caching').table) -%}
{% endmacro %}
