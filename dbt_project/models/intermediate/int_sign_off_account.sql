{{ built_by_sign_off() }}

with {{ accounts_and_all_above() }},

acceptance as (
    select
        data_set,
        period,
        org_unit_code,
        is_last
    from {{ ref('int_sign_off') }}
    where stands
),

accepted as (
    select
        under.data_set,
        under.period,
        under.org_unit_code,
        bool_or(acceptance.is_last) as is_final
    from under
    inner join acceptance
        on
            under.data_set = acceptance.data_set
            and under.period = acceptance.period
            and under.above_code = acceptance.org_unit_code
    group by all
),

returned as (
    select distinct
        submission.data_set,
        submission.period,
        submission.org_unit_code
    from {{ ref('int_submission') }} as submission
    inner join {{ source('domain', 'returned') }} using (submission_id)
    where submission.scope = 'own' and submission.status = 'accepted'
)

select
    account.data_set,
    account.period,
    account.org_unit_code,
    case
        when accepted.is_final then 'final'
        when accepted.period is not null then 'accepted'
        else 'returned'
    end as state
from account
left join accepted using (data_set, period, org_unit_code)
left join returned using (data_set, period, org_unit_code)
where accepted.period is not null or returned.period is not null
