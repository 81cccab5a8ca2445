-- What PostgreSQL serves has the columns and types that the sources declare, scales included: a consumer who reads the
-- documentation reads what is there.

{% set served_sources = graph.sources.values()
    | selectattr('schema', 'in', ['public', 'export'])
    | list if execute else [] %}

with

declared as (

    {% for source in served_sources %}
    {% set last_source = loop.last %}
    {% for column in source.columns.values() %}
    select
        '{{ source.schema }}' as table_schema,
        '{{ source.name }}' as table_name,
        '{{ column.name }}' as column_name,
        '{{ column.data_type | replace(' ', '') }}' as data_type
    {{ 'union all' if not (last_source and loop.last) }}
    {% endfor %}
    {% else %}
    select null::text as table_schema, null::text as table_name, null::text as column_name, null::text as data_type
    where false
    {% endfor %}

),

served as (

    select
        pg_namespace.nspname as table_schema,
        pg_class.relname as table_name,
        pg_attribute.attname as column_name,
        -- in the words of the YAML, which are Spark's
        case format_type(pg_attribute.atttypid, pg_attribute.atttypmod)
            when 'text' then 'string'
            when 'jsonb' then 'string'
            when 'integer' then 'int'
            when 'timestamp with time zone' then 'timestamp'
            else replace(format_type(pg_attribute.atttypid, pg_attribute.atttypmod), 'numeric', 'decimal')
        end as data_type
    from pg_attribute
    inner join pg_class on pg_attribute.attrelid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped

)

select
    declared.table_name,
    declared.column_name,
    declared.data_type as declared_type,
    served.data_type as served_type
from declared
left join served
    on declared.table_schema = served.table_schema
    and declared.table_name = served.table_name
    and declared.column_name = served.column_name
where declared.data_type is distinct from served.data_type
