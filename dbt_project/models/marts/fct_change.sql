{{ config(materialized='view', tags=['judged']) }}

-- On the basis `restated`, what has no row of its own is as reported. A figure stands on that basis where it or one
-- that it is compared with is restated.
with restated_key as (
    select
        org_unit_code,
        indicator_id,
        period
    from {{ ref('int_restated_figure') }}
    union
    select
        restated.org_unit_code,
        restated.indicator_id,
        period.period
    from {{ ref('int_restated_figure') }} as restated
    inner join {{ ref('dim_period') }} as period
        on restated.period in (period.previous_period, period.same_period_last_year)
),

figure as (
    select
        org_unit_code,
        indicator_id,
        period,
        basis,
        total_value,
        received
    from {{ ref('int_figure') }}
    union all
    select
        key.org_unit_code,
        key.indicator_id,
        key.period,
        'restated' as basis,
        figure.total_value,
        figure.received
    from restated_key as key
    inner join {{ ref('int_figure') }} as figure
        on
            key.org_unit_code = figure.org_unit_code
            and key.indicator_id = figure.indicator_id
            and key.period = figure.period
            and figure.basis = 'as_reported'
    left join {{ ref('int_restated_figure') }} as restated
        on
            key.org_unit_code = restated.org_unit_code
            and key.indicator_id = restated.indicator_id
            and key.period = restated.period
    where restated.period is null
),

-- A unit changes where another validity of it begins, and where it gives or takes what was another unit's.
changed as (
    select
        org_unit_code,
        valid_from
    from {{ ref('dim_org_unit') }}
    qualify row_number() over (partition by org_unit_code order by valid_from) > 1
    union
    select
        from_code as org_unit_code,
        valid_from
    from {{ ref('dim_change') }}
    union
    select
        to_code as org_unit_code,
        valid_from
    from {{ ref('dim_change') }}
    where from_code is not null
),

-- The period before is counted on its own last day's tree, so a change on this one's first day lies between them.
reform as (
    select
        changed.org_unit_code,
        period.period,
        max(changed.valid_from) as changed_on
    from changed
    inner join {{ ref('dim_period') }} as period
        on changed.valid_from between period.starts_on and period.ends_on
    group by changed.org_unit_code, period.period
),

compared as (
    select
        figure.*,
        case when restated_before.period is null then before.total_value else restated_before.total_value end
            as previous_period_value,
        case when restated_last_year.period is null then last_year.total_value else restated_last_year.total_value end
            as same_period_last_year_value,
        {{ owed_in_part('figure.received', 'comparison.parts_owed') }} as parts_owed,
        {{ owed_in_part(
            'case when restated_before.period is null then before.received else restated_before.received end',
            'comparison.previous_parts_owed'
        ) }} as previous_parts_owed,
        {{ owed_in_part(
            'case when restated_last_year.period is null then last_year.received else restated_last_year.received end',
            'comparison.last_year_parts_owed'
        ) }} as last_year_parts_owed
    from figure
    inner join {{ ref('int_comparison') }} as comparison using (indicator_id, period)
    left join {{ ref('int_figure') }} as before
        on
            figure.org_unit_code = before.org_unit_code
            and figure.indicator_id = before.indicator_id
            and comparison.previous_period = before.period
            and before.basis = 'as_reported'
    left join {{ ref('int_figure') }} as last_year
        on
            figure.org_unit_code = last_year.org_unit_code
            and figure.indicator_id = last_year.indicator_id
            and comparison.same_period_last_year = last_year.period
            and last_year.basis = 'as_reported'
    left join {{ ref('int_restated_figure') }} as restated_before
        on
            figure.basis = 'restated'
            and figure.org_unit_code = restated_before.org_unit_code
            and figure.indicator_id = restated_before.indicator_id
            and comparison.previous_period = restated_before.period
    left join {{ ref('int_restated_figure') }} as restated_last_year
        on
            figure.basis = 'restated'
            and figure.org_unit_code = restated_last_year.org_unit_code
            and figure.indicator_id = restated_last_year.indicator_id
            and comparison.same_period_last_year = restated_last_year.period
),

reasoned as (
    select
        *,
        {{ why_no_change('total_value', 'previous_period_value', 'parts_owed', 'previous_parts_owed') }}
            as no_month_on_month,
        {{ why_no_change('total_value', 'same_period_last_year_value', 'parts_owed', 'last_year_parts_owed') }}
            as no_year_on_year
    from compared
)

select
    reasoned.org_unit_code,
    reasoned.indicator_id,
    reasoned.period,
    reasoned.basis,
    reasoned.total_value,
    reasoned.previous_period_value,
    reasoned.same_period_last_year_value,
    case
        when reasoned.no_month_on_month is null
            then round(
                100 * (reasoned.total_value - reasoned.previous_period_value)::double
                / reasoned.previous_period_value::double, 6
            )
    end as month_on_month,
    case
        when reasoned.no_year_on_year is null
            then round(
                100 * (reasoned.total_value - reasoned.same_period_last_year_value)::double
                / reasoned.same_period_last_year_value::double, 6
            )
    end as year_on_year,
    reasoned.no_month_on_month,
    reasoned.no_year_on_year,
    case when reasoned.basis = 'as_reported' then 'the unit changed on ' || reform.changed_on end as break_mark
from reasoned
left join reform using (org_unit_code, period)
