{{ config(materialized='view', tags=['judged']) }}

with figure as (
    select
        figure.org_unit_code,
        figure.indicator_id,
        figure.period,
        figure.basis,
        figure.total_value,
        period.previous_period,
        period.same_period_last_year
    from {{ ref('int_figure') }} as figure
    inner join {{ ref('dim_period') }} as period using (period)
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
)

select
    figure.org_unit_code,
    figure.indicator_id,
    figure.period,
    figure.basis,
    figure.total_value,
    before.total_value as previous_period_value,
    last_year.total_value as same_period_last_year_value,
    round(100 * (figure.total_value - before.total_value)::double / nullif(before.total_value, 0)::double, 6)
        as month_on_month,
    round(100 * (figure.total_value - last_year.total_value)::double / nullif(last_year.total_value, 0)::double, 6)
        as year_on_year,
    'the unit changed on ' || reform.changed_on as break_mark
from figure
left join {{ ref('int_figure') }} as before
    on
        figure.org_unit_code = before.org_unit_code
        and figure.indicator_id = before.indicator_id
        and figure.basis = before.basis
        and figure.previous_period = before.period
left join {{ ref('int_figure') }} as last_year
    on
        figure.org_unit_code = last_year.org_unit_code
        and figure.indicator_id = last_year.indicator_id
        and figure.basis = last_year.basis
        and figure.same_period_last_year = last_year.period
left join reform on figure.org_unit_code = reform.org_unit_code and figure.period = reform.period
