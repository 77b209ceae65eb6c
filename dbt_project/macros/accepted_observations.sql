{#- Accepted observations of one data set, wide: one row per reporter, org unit, period and scope.

    Of all versions that a reporter sent, the accepted one as int_submission says; only the periods of
    the work list are read.

    Most rows of a large tree stand alone: the only account of a unit below which nothing lies, of which nothing
    else is due, and nothing claimed. Such a row is its unit's figures in that period as it is. It says so, and
    for which reporting groups it was due, and the roll-up does not write it again. -#}
{% macro accepted_observations(data_set) -%}
{%- set meta = data_set_meta(data_set) -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work('" ~ data_set ~ "') }}"
) }}
{%- set columns = {'submission_id': 'varchar', 'batch': 'varchar'} -%}
{%- for indicator in meta.indicators -%}
    {%- do columns.update({indicator.name: indicator.type}) -%}
{%- endfor %}
with landed as (
    {{ landed('cells', columns, data_set) }}
),

accepted as (
    select submission_id, batch, reporter, org_unit_code, period, scope
    from {{ ref('int_submission') }}
    where
        data_set = '{{ data_set }}'
        and status = 'accepted'
        and period in {{ work_periods(data_set) }}
),

parent as (
    select distinct
        period,
        parent_code as org_unit_code
    from {{ ref('int_tree') }}
    where period in {{ work_periods(data_set) }}
),

-- What each unit sent for a period and for those inside it.
sent as (
    select
        submission.org_unit_code,
        part.period
    from {{ ref('int_submission') }} as submission
    inner join {{ source('domain', 'period_part') }} as part on submission.period = part.part_period
    where
        submission.data_set = '{{ data_set }}'
        and submission.status = 'accepted'
        and part.period in {{ work_periods(data_set) }}
    group by submission.org_unit_code, part.period
    having count(*) = 1
),

alone as (
    select
        due.org_unit_code,
        due.period
        {%- for group in meta.groups %},
        due.due_{{ group }}
        {%- endfor %}
    from (
        {{ due_by_unit(data_set) }}
    ) as due
    inner join sent using (org_unit_code, period)
    inner join {{ ref('int_tree') }} as tree using (org_unit_code, period)
    left join parent using (org_unit_code, period)
    where due.due = 1 and due.received = 1 and parent.period is null {{- ' and false' if is_counted(meta) }}
)

select
    accepted.* exclude (batch),
    alone.period is not null as stands_alone,
    {% for group in meta.groups -%}
    alone.due_{{ group }}::tinyint as due_{{ group }},
    {% endfor -%}
    {% for indicator in meta.indicators -%}
    landed.{{ indicator.name }}{{ "," if not loop.last }}
    {% endfor %}
from accepted
inner join landed using (submission_id, batch)
left join alone
    on
        accepted.org_unit_code = alone.org_unit_code
        and accepted.period = alone.period
        and accepted.scope = 'own'
{%- endmacro %}

{#- What was due from each unit itself, and what of it arrived, in the work list's periods: a query with one row
    per org unit and period, in sum and by reporting group. -#}
{% macro due_by_unit(data_set) -%}
{%- set groups = data_set_meta(data_set).groups -%}
select
    due.org_unit_code,
    part.period,
    {% if groups | length > 1 -%}
    count(distinct (due.reporter, due.period)) as due,
    count(distinct (due.reporter, due.period)) filter (where due.received_at is not null) as received
    {%- else -%}
    count(*) as due,
    count(due.received_at) as received
    {%- endif %}
    {%- for group in groups %},
    count_if(due.group_name = '{{ group }}')::bigint as due_{{ group }},
    count_if(due.group_name = '{{ group }}' and due.received_at is not null)::bigint as received_{{ group }}
    {%- endfor %}
from {{ ref('int_due') }} as due
inner join {{ source('domain', 'period_part') }} as part on due.period = part.part_period
where due.data_set = '{{ data_set }}' and part.period in {{ work_periods(data_set) }}
group by due.org_unit_code, part.period
{%- endmacro %}
