{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_work() }}"
) }}

with recursive reporting_group as (
    select
        reporting_group.*,
        reporter_kind.level,
        reporter_kind.office
    from {{ source('domain', 'reporting_group') }} as reporting_group
    inner join {{ source('domain', 'reporter_kind') }} as reporter_kind using (reporter_kind)
),

-- What a group owes, period by period of its own frequency.
owed as (
    select
        reporting_group.*,
        period.period,
        period.ends_on,
        period.ends_on + reporting_group.due_days::integer as due_on
    from reporting_group
    inner join {{ source('domain', 'period') }} as period
        on
            reporting_group.frequency = period.period_type
            and period.starts_on >= reporting_group.first_day
            and period.ends_on <= reporting_group.last_day
    inner join {{ source('build', 'work') }} as work
        on reporting_group.data_set = work.data_set and period.period = work.period
),

-- Groups that are asked only within some subtrees: everything in them.
within_subtree as (
    select distinct
        period,
        data_set,
        group_name,
        unnest(within_codes) as org_unit_code
    from owed
    union
    select
        above.period,
        above.data_set,
        above.group_name,
        tree.org_unit_code
    from within_subtree as above
    inner join {{ ref('int_tree') }} as tree
        on above.period = tree.period and above.org_unit_code = tree.parent_code
),

reporter as (
    select
        owed.*,
        tree.org_unit_code,
        tree.org_unit_code as reporter
    from owed
    inner join {{ ref('int_tree') }} as tree
        on
            owed.period = tree.period
            and owed.level = tree.level
            and tree.is_current
            and (len(owed.unit_types) = 0 or list_contains(owed.unit_types, tree.unit_type))
    where not owed.office
    union all
    select
        owed.*,
        tree.org_unit_code,
        office.reporter
    from owed
    inner join {{ source('domain', 'office') }} as office
        on
            owed.reporter_kind = office.reporter_kind
            and office.valid_from <= owed.ends_on
            and (office.valid_to is null or office.valid_to > owed.ends_on)
    inner join {{ ref('int_tree') }} as tree
        on owed.period = tree.period and office.org_unit_code = tree.org_unit_code and tree.is_current
    where owed.office
),

received as (
    select
        submission.data_set,
        submission.reporter,
        submission.org_unit_code,
        submission.period,
        min(submission.received_at) as received_at
    from {{ ref('int_submission') }} as submission
    inner join {{ source('build', 'work') }} using (data_set, period)
    where
        submission.scope = 'own'
        and submission.status in ('accepted', 'superseded')
        and submission.action <> 'withdrawal'
    group by all
    having bool_or(submission.status = 'accepted')
)

select
    reporter.data_set,
    reporter.group_name,
    reporter.reporter,
    reporter.reporter_kind,
    reporter.org_unit_code,
    reporter.period,
    reporter.due_on,
    received.received_at
from reporter
cross join {{ source('build', 'parameter') }} as parameter
left join received using (data_set, reporter, org_unit_code, period)
left join within_subtree using (period, data_set, group_name, org_unit_code)
where
    (len(reporter.within_codes) = 0 or within_subtree.org_unit_code is not null)
    and (reporter.due_on < parameter.today or received.received_at is not null)
