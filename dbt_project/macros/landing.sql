{#- Landed files of one kind as a relation; `columns` gives name and type of every column.

    Files land over years while a data set gains columns, so they are united by name over an empty
    relation that has all of them. A column `batch` is the folder that the file landed in. -#}
{% macro landed(kind, columns, data_set=none) -%}
    {%- set files = [] -%}
    {%- if execute -%}
        {%- set found = run_query(
            "select path from " ~ source('build', 'landing_file') ~ " where kind = '" ~ kind ~ "'"
            ~ (" and data_set = '" ~ data_set ~ "'" if data_set else "") ~ " order by path"
        ) -%}
        {%- for row in found.rows %}{% do files.append("'" ~ row[0] ~ "'") %}{% endfor -%}
    {%- endif %}
    select
        {% for name, type in columns.items() -%}
        {{ name }}::{{ type }} as {{ name }}{{ "," if not loop.last }}
        {% endfor %}
    from (
        select {% for name, type in columns.items() %}null::{{ type }} as {{ name }}{{ ", " if not loop.last }}{% endfor %}
        where false
        {%- if files %}
        union all by name
        select *, split_part(filename, '/', {{ -4 if kind in ['cells', 'printed'] else -2 }}) as batch
        from read_parquet([{{ files | join(', ') }}], union_by_name = true, filename = true)
        {%- endif %}
    )
{%- endmacro %}
