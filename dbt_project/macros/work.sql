{#- Pre-hook of a model built by (data set, period): what the work list names is forgotten, then appended anew. So
    are, where asked for, strays: rows of no (data set, period) that is ever built. -#}
{% macro forget_work(data_set=none, with_strays=false) -%}
    {%- if is_incremental() -%}
    {%- if data_set -%}
    delete from {{ this }}
    where period in (select period from {{ source('build', 'work') }} where data_set = '{{ data_set }}')
    {%- else -%}
    delete from {{ this }}
    where
        (data_set, period) in (select (data_set, period) from {{ source('build', 'work') }})
        {%- if with_strays %}
        or not exists (
            select 1 from {{ source('build', 'unit') }} as unit
            where unit.data_set = {{ this.identifier }}.data_set and unit.period = {{ this.identifier }}.period
        )
        {%- endif %}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- The periods of one data set that this build makes. -#}
{% macro work_periods(data_set) -%}
    (select period from {{ source('build', 'work') }} where data_set = '{{ data_set }}')
{%- endmacro %}

{#- What `plumbline data-set sync` wrote about a data set into its model's yml: indicators and groups. -#}
{% macro data_set_meta(data_set) -%}
    {%- if execute -%}
    {{ return(graph.nodes['model.plumbline.fct_' ~ data_set].config.meta) }}
    {%- endif -%}
    {{ return({'indicators': [], 'groups': []}) }}
{%- endmacro %}
