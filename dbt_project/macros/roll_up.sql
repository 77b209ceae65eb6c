{#- Sums of `columns` over everything strictly below each org unit and period: CTEs `<rows>_of_children`
    and `<rows>_below`. `rows` is one row per unit and period with its parent.

    The units are summed to their parents once (the only pass over all of them), then the parents' sums to
    their ancestors, which are few; int_ancestor counts a unit among its own ancestors. -#}
{% macro sum_below(rows, columns, ancestor='int_ancestor') -%}
{{ rows }}_of_children as (
    select
        period,
        parent_code,
        {% for column, type in columns.items() -%}
        sum({{ column }}) as {{ column }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ rows }}
    where parent_code is not null
    group by period, parent_code
),

{{ rows }}_below as (
    select
        of_children.period,
        ancestor.ancestor_code as org_unit_code,
        {% for column, type in columns.items() -%}
        sum(of_children.{{ column }})::{{ type }} as {{ column }}{{ "," if not loop.last }}
        {% endfor %}
    from {{ rows }}_of_children as of_children
    inner join {{ ref(ancestor) }} as ancestor
        on of_children.period = ancestor.period and of_children.parent_code = ancestor.org_unit_code
    group by of_children.period, ancestor.ancestor_code
)
{%- endmacro %}

{#- One data set rolled up the tree, wide: one row per org unit and period (of every type), as reported, but for
    the units whose figures are an observation that stands alone (`figures` adds those).

    For what adds: total = own + what lies below; own is the sum over the unit's reporters, over time by kind
    (a flow adds, a stock or flag is the last sub-period's). A unit with nothing reporting below it and no own
    account takes its claim. A rate without parts and a distinct count are carried as stated. Missing stays null,
    never zero. -#}
{% macro roll_up(data_set) -%}
{%- set meta = data_set_meta(data_set) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work('" ~ data_set ~ "') }}"
) }}
{%- set stated = meta.indicators | rejectattr('kind', 'equalto', 'registry') | list -%}
{%- set additive = stated | selectattr('additive') | list -%}
{%- set counted = meta.indicators | selectattr('kind', 'equalto', 'registry') | list -%}
{%- set counts = counts_of(meta) -%}
{%- set values = {} -%}
{%- for indicator in additive -%}{%- do values.update({indicator.name: indicator.type}) -%}{%- endfor %}

with tree as (
    select * from {{ ref('int_tree') }}
    where period in {{ work_periods(data_set) }}
),

observation as (
    select
        observation.* replace (part.period as period),
        part.is_last,
        observation.period = part.period as is_whole
    from {{ ref('obs_' ~ data_set) }} as observation
    inner join {{ source('domain', 'period_part') }} as part on observation.period = part.part_period
    where
        part.period in {{ work_periods(data_set) }}
        and (observation.scope = 'own' or observation.period = part.period)
),

own as (
    select
        org_unit_code,
        period,
        count(*) as observation_count
        {%- for indicator in stated %},
        {% if indicator.kind == 'flow' -%}
        sum({{ indicator.name }})::{{ indicator.type }} as {{ indicator.name }}
        {%- elif indicator.additive -%}
        sum({{ indicator.name }}) filter (where is_last)::{{ indicator.type }} as {{ indicator.name }}
        {%- else -%}
        case
            when count({{ indicator.name }}) filter (where is_whole) = 1
                then any_value({{ indicator.name }}) filter (where is_whole)
        end as {{ indicator.name }}
        {%- endif %}
        {%- endfor %}
    from observation
    where scope = 'own' and not (stands_alone and is_whole)
    group by org_unit_code, period
),

claimed as (
    select
        org_unit_code,
        period,
        count(*) as claim_count
        {%- for indicator in meta.indicators %},
        any_value({{ indicator.name }} order by reporter <> org_unit_code, reporter) as {{ indicator.name }}
        {%- endfor %}
    from observation
    where scope = 'total'
    group by org_unit_code, period
),

expected as (
    {{ due_by_unit(data_set) }}
),

unit_count as (
    select
        tree.period,
        tree.org_unit_code,
        tree.parent_code
        {%- for column in ['due', 'received'] %},
        coalesce(expected.{{ column }}, 0) as {{ column }}
        {%- endfor %}
        {%- for group in meta.groups %},
        coalesce(expected.due_{{ group }}, 0) as due_{{ group }},
        coalesce(expected.received_{{ group }}, 0) as received_{{ group }}
        {%- endfor %}
        {%- for indicator in counted %},
        (tree.is_current and tree.level = '{{ indicator.counts_level }}')::bigint
            as {{ indicator.name }}_with_pseudo,
        (tree.is_current and tree.level = '{{ indicator.counts_level }}' and not tree.is_pseudo)::bigint
            as {{ indicator.name }}_without_pseudo
        {%- endfor %}
    from tree
    left join expected using (org_unit_code, period)
),

{{ sum_below('unit_count', counts) }},

{% if additive %}
-- Claims of units below which nothing is due, and what was stated there all the same.
claim_alone as (
    select org_unit_code, period
    from claimed
    left join unit_count_below as below using (org_unit_code, period)
    where
        {% for group in meta.groups -%}
        {{ 'or ' if not loop.first }}coalesce(below.due_{{ group }}, 0) = 0
        {% endfor %}
),

-- `distinct` keeps the planner from reading every observation before it knows how few of them are asked for.
under_claim as (
    select distinct
        claim_alone.period,
        claim_alone.org_unit_code,
        tree.org_unit_code as below_code
    from claim_alone
    inner join {{ ref('int_ancestor') }} as ancestor
        on claim_alone.period = ancestor.period and claim_alone.org_unit_code = ancestor.ancestor_code
    inner join tree on ancestor.period = tree.period and ancestor.org_unit_code = tree.parent_code
),

stated_below as (
    select
        under_claim.org_unit_code,
        under_claim.period
        {%- for indicator in additive %},
        count(observation.{{ indicator.name }}) > 0 as {{ indicator.name }}
        {%- endfor %}
    from under_claim
    inner join observation
        on under_claim.period = observation.period and under_claim.below_code = observation.org_unit_code
    group by under_claim.org_unit_code, under_claim.period
),

-- What a claim alone is worth to its unit's total.
stand_in as (
    select
        claim_alone.org_unit_code,
        claim_alone.period
        {%- for indicator in additive %},
        case
            when
                own.{{ indicator.name }} is null
                and coalesce(below.due_{{ indicator.group }}, 0) = 0
                and stated_below.{{ indicator.name }} is not true
                then claimed.{{ indicator.name }}
        end as {{ indicator.name }}
        {%- endfor %}
    from claim_alone
    inner join claimed using (org_unit_code, period)
    left join own using (org_unit_code, period)
    left join unit_count_below as below using (org_unit_code, period)
    left join stated_below using (org_unit_code, period)
),

unit_value as (
    select
        tree.period,
        tree.parent_code
        {%- for indicator in additive %},
        account.{{ indicator.name }}
        {%- endfor %}
    from (
        select org_unit_code, period{% for indicator in additive %}, {{ indicator.name }}{% endfor %}
        from own
        union all
        select * from stand_in
        union all
        select org_unit_code, period{% for indicator in additive %}, {{ indicator.name }}{% endfor %}
        from observation
        where stands_alone and is_whole
    ) as account
    inner join tree using (org_unit_code, period)
),

{{ sum_below('unit_value', values) }},
{% endif %}

rolled_up as (
    select
        unit.org_unit_code,
        unit.period,
        own.observation_count,
        claimed.claim_count
        {%- for column in counts %},
        unit.{{ column }} + coalesce(count_below.{{ column }}, 0) as {{ column }}
        {%- endfor %}
        {%- for indicator in stated %},
        {% if indicator.additive -%}
        {{ plus('coalesce(own.' ~ indicator.name ~ ', stand_in.' ~ indicator.name ~ ')', 'value_below.' ~ indicator.name, indicator.type) }}
            as {{ indicator.column }},
        value_below.{{ indicator.name }} as {{ indicator.name }}_children,
        {% elif not indicator.numerator -%}
        coalesce(own.{{ indicator.name }}, claimed.{{ indicator.name }}) as {{ indicator.column }},
        {% endif -%}
        own.{{ indicator.name }} as {{ indicator.name }}_own
        {%- endfor %}
        {%- for indicator in meta.indicators %},
        claimed.{{ indicator.name }} as {{ indicator.name }}_claimed
        {%- endfor %}
    from unit_count as unit
    left join observation as alone
        on
            unit.org_unit_code = alone.org_unit_code
            and unit.period = alone.period
            and alone.stands_alone
            and alone.is_whole
    left join unit_count_below as count_below
        on unit.org_unit_code = count_below.org_unit_code and unit.period = count_below.period
    left join own on unit.org_unit_code = own.org_unit_code and unit.period = own.period
    left join claimed on unit.org_unit_code = claimed.org_unit_code and unit.period = claimed.period
    {%- if additive %}
    left join stand_in on unit.org_unit_code = stand_in.org_unit_code and unit.period = stand_in.period
    left join unit_value_below as value_below
        on unit.org_unit_code = value_below.org_unit_code and unit.period = value_below.period
    {%- endif %}
    where alone.period is null
)

select * exclude (observation_count, claim_count)
from rolled_up
where
    due > 0
    or observation_count is not null
    or claim_count is not null
    {%- for indicator in counted %}
    or {{ indicator.name }}_with_pseudo > 0
    {%- endfor %}
    {%- for indicator in additive %}
    or {{ indicator.column }} is not null
    {%- endfor %}
{%- endmacro %}

{#- The figures of one data set, wide: one row per org unit, period and basis. What was rolled up, what stands alone,
    and what is restated; rates are recomputed from their parts' totals. A view: nothing of it is written twice. -#}
{% macro figures(data_set) -%}
{%- set meta = data_set_meta(data_set) -%}
{{ config(materialized='view') }}
{%- set stated = meta.indicators | rejectattr('kind', 'equalto', 'registry') | list -%}
{%- set columns = called(meta, 'column') -%}

with figure as (
    {{ as_reported(data_set, basis=true) }}
    union all by name
    select
        *,
        'restated' as basis
    from {{ ref('restated_' ~ data_set) }}
)

select
    org_unit_code,
    period,
    basis
    {%- for indicator in meta.indicators %},
    {% if indicator.kind == 'registry' -%}
    {{ registered(indicator) }} as {{ indicator.column }},
    {{ indicator.name }}_with_pseudo,
    {{ indicator.name }}_without_pseudo,
    {%- elif indicator.numerator -%}
    {{ rate(indicator, columns) }} as {{ indicator.column }},
    {{ indicator.name }}_own,
    {%- else -%}
    {{ indicator.column }},
    {{ indicator.name }}_own,
    {%- if indicator.additive %}
    {{ indicator.name }}_children,
    {%- endif %}
    {%- endif %}
    {{ indicator.name }}_claimed
    {%- endfor %}
    {%- for column in counts_of(meta) if column.startswith('due') or column.startswith('received') %},
    {{ column }}
    {%- endfor %},
    received / nullif(due, 0) as coverage,
    {% if not stated -%} 'complete' {%- else -%} {{ standing('due', 'received') }} {%- endif %} as status
from figure
{%- endmacro %}

{#- What was rolled up and what stands alone: a query with one row per org unit and period. With `basis`, a column says
    so: in each part, since DuckDB takes as long to bind every layer of hundreds of columns as the whole query may take. -#}
{% macro as_reported(data_set, basis=false) -%}
{%- set named = ", 'as_reported' as basis" if basis else '' -%}
{%- set meta = data_set_meta(data_set) -%}
{%- set stated = meta.indicators | rejectattr('kind', 'equalto', 'registry') | list -%}
select *{{ named }} from {{ ref('sum_' ~ data_set) }}
{%- set alone = ref('obs_' ~ data_set) %}
{%- if not is_counted(meta) %}
union all by name
select
    org_unit_code,
    period,
    1 as due,
    1 as received
    {%- for group in meta.groups %},
    due_{{ group }},
    due_{{ group }} as received_{{ group }}
    {%- endfor %}
    {%- for indicator in stated %},
    {% if not indicator.numerator -%}
    {{ indicator.name }} as {{ indicator.column }},
    {% endif -%}
    {{ indicator.name }} as {{ indicator.name }}_own
    {%- endfor %}
    {{- named }}
from {{ alone }}
where stands_alone
{%- endif %}
{%- endmacro %}
