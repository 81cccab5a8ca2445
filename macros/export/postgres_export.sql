{#- Inserts the model's rows into a view of PostgreSQL's schema `export`, through the server-side JDBC catalog. The rows
    wait there unseen under the run's id until the model `export_publication` has them published, all in one
    transaction. The columns are those that the model's YAML declares: one that is missing there fails the insert
    instead of landing in its neighbour. One task writes, so that one transaction holds all of the model's rows. -#}
{% materialization postgres_export, adapter='spark' %}

    {%- set columns = model.columns.keys() | join(', ') -%}

    {{ run_hooks(pre_hooks) }}

    {% call statement('main') -%}
        insert into {{ config.get('export_schema', 'pg.export') }}.{{ config.require('export_view') }} ({{ columns }})
        select /*+ coalesce(1) */ {{ columns }}
        from (
            {{ sql }}
        )
    {%- endcall %}

    {{ run_hooks(post_hooks) }}

    {{ return({'relations': []}) }}

{% endmaterialization %}
