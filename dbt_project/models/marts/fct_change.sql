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
        total_value
    from {{ ref('int_figure') }}
    union all
    select
        key.org_unit_code,
        key.indicator_id,
        key.period,
        'restated' as basis,
        figure.total_value
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
            as same_period_last_year_value
    from figure
    inner join {{ ref('dim_period') }} as period using (period)
    left join {{ ref('int_figure') }} as before
        on
            figure.org_unit_code = before.org_unit_code
            and figure.indicator_id = before.indicator_id
            and period.previous_period = before.period
            and before.basis = 'as_reported'
    left join {{ ref('int_figure') }} as last_year
        on
            figure.org_unit_code = last_year.org_unit_code
            and figure.indicator_id = last_year.indicator_id
            and period.same_period_last_year = last_year.period
            and last_year.basis = 'as_reported'
    left join {{ ref('int_restated_figure') }} as restated_before
        on
            figure.basis = 'restated'
            and figure.org_unit_code = restated_before.org_unit_code
            and figure.indicator_id = restated_before.indicator_id
            and period.previous_period = restated_before.period
    left join {{ ref('int_restated_figure') }} as restated_last_year
        on
            figure.basis = 'restated'
            and figure.org_unit_code = restated_last_year.org_unit_code
            and figure.indicator_id = restated_last_year.indicator_id
            and period.same_period_last_year = restated_last_year.period
)

select
    compared.org_unit_code,
    compared.indicator_id,
    compared.period,
    compared.basis,
    compared.total_value,
    compared.previous_period_value,
    compared.same_period_last_year_value,
    round(
        100 * (compared.total_value - compared.previous_period_value)::double
        / nullif(compared.previous_period_value, 0)::double, 6
    ) as month_on_month,
    round(
        100 * (compared.total_value - compared.same_period_last_year_value)::double
        / nullif(compared.same_period_last_year_value, 0)::double, 6
    ) as year_on_year,
    {{ why_no_change('compared.total_value', 'compared.previous_period_value') }} as no_month_on_month,
    {{ why_no_change('compared.total_value', 'compared.same_period_last_year_value') }} as no_year_on_year,
    case when compared.basis = 'as_reported' then 'the unit changed on ' || reform.changed_on end as break_mark
from compared
left join reform using (org_unit_code, period)
