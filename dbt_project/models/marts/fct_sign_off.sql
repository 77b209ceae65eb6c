{{ config(materialized='view', tags=['sign_off']) }}

select
    sign_off.data_set,
    sign_off.org_unit_code,
    sign_off.period,
    sign_off.level,
    coalesce(figure.state, 'draft') as state,
    sign_off.was_accepted and not sign_off.stands as is_reopened,
    sign_off.submissions,
    sign_off.content,
    sign_off.accepted_by,
    sign_off.accepted_at,
    sign_off.reason
from {{ ref('int_sign_off') }} as sign_off
left join {{ ref('int_sign_off_figure') }} as figure using (data_set, org_unit_code, period)
