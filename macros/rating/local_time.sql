{% macro local_time(moment) -%}
    {#- The session's time zone is UTC, so the result's fields read as the wall clock of the rating time zone. -#}
    from_utc_timestamp({{ moment }}, '{{ var("rating_timezone") }}')
{%- endmacro %}
