{#- Sums of `columns` over everything strictly below each org unit and period: CTEs `<rows>_of_children`
    and `<rows>_below`. `rows` is one row per unit and period with its parent.

    The units are summed to their parents once (the only pass over all of them), then the parents' sums to
    their ancestors, which are few; int_ancestor counts a unit among its own ancestors. -#}
{% macro sum_below(rows, columns) -%}
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
    inner join {{ ref('int_ancestor') }} as ancestor
        on of_children.period = ancestor.period and of_children.parent_code = ancestor.org_unit_code
    group by of_children.period, ancestor.ancestor_code
)
{%- endmacro %}

{#- One data set rolled up the tree, wide: one row per org unit and period (of every type), as reported.

    For what adds: total = own + what lies below; own is the sum over the unit's reporters, over time by kind
    (a flow adds, a stock or flag is the last sub-period's). A unit with nothing reporting below it and no own
    account takes its claim. A rate is recomputed from its parts' totals; a rate without parts and a distinct
    count are carried as stated. Missing stays null, never zero. -#}
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
{%- set counts = {'due': 'bigint', 'received': 'bigint'} -%}
{%- for group in meta.groups -%}
    {%- do counts.update({'due_' ~ group: 'bigint', 'received_' ~ group: 'bigint'}) -%}
{%- endfor -%}
{%- for indicator in counted -%}
    {%- do counts.update({indicator.name ~ '_with_pseudo': 'bigint', indicator.name ~ '_without_pseudo': 'bigint'}) -%}
{%- endfor -%}
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

several as (
    select
        org_unit_code,
        period
    from observation
    where scope = 'own'
    group by org_unit_code, period
    having count(*) > 1
),

-- Most units have one account in a period, which stands as it is: sending it through the sums as well takes
-- longer than the rest of the roll-up.
own as (
    select
        observation.org_unit_code,
        observation.period,
        1 as observation_count
        {%- for indicator in stated %},
        {% if indicator.kind == 'flow' -%}
        observation.{{ indicator.name }}
        {%- else -%}
        case when {{ 'is_last' if indicator.additive else 'is_whole' }} then observation.{{ indicator.name }} end
            as {{ indicator.name }}
        {%- endif %}
        {%- endfor %}
    from observation
    left join several using (org_unit_code, period)
    where observation.scope = 'own' and several.period is null
    union all
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
    inner join several using (org_unit_code, period)
    where scope = 'own'
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
    select
        due.org_unit_code,
        part.period,
        {% if meta.groups | length > 1 -%}
        count(distinct (due.reporter, due.period)) as due,
        count(distinct (due.reporter, due.period)) filter (where due.received_at is not null) as received
        {%- else -%}
        count(*) as due,
        count(due.received_at) as received
        {%- endif %}
        {%- for group in meta.groups %},
        count(*) filter (where due.group_name = '{{ group }}') as due_{{ group }},
        count(due.received_at) filter (where due.group_name = '{{ group }}') as received_{{ group }}
        {%- endfor %}
    from {{ ref('int_due') }} as due
    inner join {{ source('domain', 'period_part') }} as part on due.period = part.part_period
    where due.data_set = '{{ data_set }}' and part.period in {{ work_periods(data_set) }}
    group by due.org_unit_code, part.period
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

stated_below as (
    select
        claim_alone.org_unit_code,
        claim_alone.period
        {%- for indicator in additive %},
        count(observation.{{ indicator.name }}) > 0 as {{ indicator.name }}
        {%- endfor %}
    from claim_alone
    inner join {{ ref('int_ancestor') }} as ancestor
        on claim_alone.period = ancestor.period and claim_alone.org_unit_code = ancestor.ancestor_code
    inner join tree on ancestor.period = tree.period and ancestor.org_unit_code = tree.parent_code
    inner join observation on tree.period = observation.period and tree.org_unit_code = observation.org_unit_code
    group by claim_alone.org_unit_code, claim_alone.period
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
        {%- for indicator in additive %},
        {{ plus('coalesce(own.' ~ indicator.name ~ ', stand_in.' ~ indicator.name ~ ')', 'value_below.' ~ indicator.name, indicator.type) }}
            as {{ indicator.column }},
        own.{{ indicator.name }} as {{ indicator.name }}_own,
        value_below.{{ indicator.name }} as {{ indicator.name }}_children,
        claimed.{{ indicator.name }} as {{ indicator.name }}_claimed
        {%- endfor %}
        {%- for indicator in stated if not indicator.additive %},
        {% if not indicator.numerator -%}
        coalesce(own.{{ indicator.name }}, claimed.{{ indicator.name }}) as {{ indicator.column }},
        {% endif -%}
        own.{{ indicator.name }} as {{ indicator.name }}_own,
        claimed.{{ indicator.name }} as {{ indicator.name }}_claimed
        {%- endfor %}
        {%- for indicator in counted %},
        claimed.{{ indicator.name }} as {{ indicator.name }}_claimed
        {%- endfor %}
    from unit_count as unit
    left join unit_count_below as count_below using (org_unit_code, period)
    left join own using (org_unit_code, period)
    left join claimed using (org_unit_code, period)
    {%- if additive %}
    left join stand_in using (org_unit_code, period)
    left join unit_value_below as value_below using (org_unit_code, period)
    {%- endif %}
)

select
    org_unit_code,
    period,
    'as_reported' as basis
    {%- for indicator in meta.indicators %},
    {% if indicator.kind == 'registry' -%}
    {{ indicator.name }}_{{ 'with' if indicator.counts_pseudo else 'without' }}_pseudo::{{ indicator.type }} as {{ indicator.column }},
    {{ indicator.name }}_with_pseudo,
    {{ indicator.name }}_without_pseudo,
    {%- elif indicator.numerator -%}
    round({{ indicator.scale }} * {{ indicator.numerator }}::double / nullif({{ indicator.denominator }}, 0)::double, 6)
        as {{ indicator.column }},
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
    {%- for column in counts if column.startswith('due') or column.startswith('received') %},
    {{ column }}
    {%- endfor %},
    received / nullif(due, 0) as coverage,
    {% if counted and not stated -%} 'complete' {%- else -%} {{ standing('due', 'received') }} {%- endif %} as status
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
