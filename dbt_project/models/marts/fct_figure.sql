{{ config(materialized='view', tags=['judged']) }}

select
    figure.org_unit_code,
    figure.indicator_id,
    figure.period,
    figure.basis,
    figure.own_value,
    figure.children_value,
    figure.total_value,
    figure.numerator,
    figure.denominator,
    figure.reported_total,
    figure.due,
    figure.received,
    figure.received / nullif(figure.due, 0) as coverage,
    case when judged.is_held then 'held' else figure.status end as status,
    coalesce(judged.open_findings, 0) as open_findings,
    coalesce(judged.held_below, 0) as held_below,
    case when signed.state in ('accepted', 'final') then signed.state else figure.sign_off end as sign_off
from {{ ref('int_figure') }} as figure
left join {{ ref('int_finding_count') }} as judged
    on
        figure.org_unit_code = judged.org_unit_code
        and figure.indicator_id = judged.indicator_id
        and figure.period = judged.period
        and figure.basis = 'as_reported'
left join {{ ref('int_sign_off_figure') }} as signed
    on
        figure.data_set = signed.data_set
        and figure.org_unit_code = signed.org_unit_code
        and figure.period = signed.period
        and figure.basis = 'as_reported'
