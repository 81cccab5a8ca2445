{#- Compares the columns and types that the YAML declares with those of the built table. dbt's contracts see base types
    only: that a price has six decimals, or what is inside an array, PyHive does not tell them. -#}
{% test declared_types(model) %}

    {#- PostgreSQL keeps its own word on types: the tables it serves are made by serving/schema -#}
    {{ config(enabled=target.type == 'spark') }}

    {%- set differences = [] -%}

    {%- if execute -%}
        {%- set found = (graph.nodes.values() | list + graph.sources.values() | list)
            | selectattr('resource_type', 'in', ['model', 'seed', 'snapshot', 'source'])
            | selectattr('relation_name', 'equalto', model.render())
            | list -%}
        {%- if not found -%}
            {{ exceptions.raise_compiler_error('declared_types: no model, seed, snapshot or source is ' ~ model) }}
        {%- endif -%}

        {%- set declared = {} -%}
        {%- for column in found[0].columns.values() -%}
            {%- set type = column.data_type or found[0].config.get('column_types', {}).get(column.name) -%}
            {%- do declared.update({column.name: type | lower | replace(' ', '')}) -%}
        {%- endfor -%}

        {%- set real = {} -%}
        {%- for column in adapter.get_columns_in_relation(model) -%}
            {%- do real.update({column.name: column.dtype | lower | replace(' ', '')}) -%}
        {%- endfor -%}

        {%- for name in declared.keys() | list + real.keys() | list | reject('in', declared.keys()) | list -%}
            {%- if declared.get(name) != real.get(name) -%}
                {%- do differences.append((name, declared.get(name, 'nothing'), real.get(name, 'nothing'))) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}

    {% for name, declared_type, real_type in differences %}
    select '{{ name }}' as column_name, '{{ declared_type }}' as declared_type, '{{ real_type }}' as real_type
    {{ 'union all' if not loop.last }}
    {% else %}
    select 'none' as column_name, 'none' as declared_type, 'none' as real_type
    where 1 = 0
    {% endfor %}

{% endtest %}
