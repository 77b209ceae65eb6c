{#- Pre-hook of a model built by (data set, period): what the work list names is forgotten, then appended anew. -#}
{% macro forget_work(data_set=none) -%}
    {%- if is_incremental() -%}
    {%- if data_set -%}
    delete from {{ this }}
    where period in (select period from {{ source('build', 'work') }} where data_set = '{{ data_set }}')
    {%- else -%}
    delete from {{ this }}
    where (data_set, period) in (select (data_set, period) from {{ source('build', 'work') }})
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

{#- `a + b` where a missing side counts as nothing and both missing stay missing; most rows lack one side, and a
    sum of decimals is computed twice as wide as they are. -#}
{% macro plus(a, b, type) -%}
    case when {{ b }} is null then {{ a }} when {{ a }} is null then {{ b }} else ({{ a }} + {{ b }})::{{ type }} end
{%- endmacro %}

{#- Standing of a figure by what was due and what arrived. -#}
{% macro standing(due, received) -%}
    case
        when coalesce({{ due }}, 0) = 0 then 'not_applicable'
        when {{ received }} = 0 then 'missing'
        when {{ received }} < {{ due }} then 'partial'
        else 'complete'
    end
{%- endmacro %}
