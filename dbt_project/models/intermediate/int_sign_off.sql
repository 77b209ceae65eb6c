{{ built_by_sign_off() }}

with {{ accounts_and_all_above() }},

signing as (
    select
        under.*,
        level.level,
        level.is_last
    from under
    inner join {{ ref('int_tree') }} as unit
        on under.period = unit.period and under.above_code = unit.org_unit_code
    inner join {{ source('domain', 'sign_off_level') }} as level
        on under.data_set = level.data_set and unit.level = level.level
),

submission as (
    select
        submission.data_set,
        submission.period,
        submission.org_unit_code,
        submission.submission_id,
        returned.recorded_at as returned_at
    from {{ ref('int_submission') }} as submission
    inner join {{ sign_off_work() }} as work using (data_set, period)
    left join {{ source('domain', 'returned') }} as returned using (submission_id)
    where submission.scope = 'own' and submission.status = 'accepted'
),

-- `content` is another when any submission comes, goes or is replaced, whatever their order.
below as (
    select
        signing.data_set,
        signing.period,
        signing.above_code as org_unit_code,
        signing.level,
        signing.is_last,
        count(submission.submission_id) as submissions,
        bit_xor(md5_number(submission.submission_id)) as content,
        max(submission.returned_at) as returned_at
    from signing
    left join submission using (data_set, period, org_unit_code)
    group by all
),

acceptance as (
    select *
    from {{ source('domain', 'acceptance') }}
    qualify row_number() over (
        partition by data_set, org_unit_code, period order by recorded_at desc, record_id desc
    ) = 1
)

select
    below.data_set,
    below.period,
    below.org_unit_code,
    below.level,
    below.is_last,
    below.submissions,
    below.content::varchar as content,
    acceptance.content is not null as was_accepted,
    coalesce(
        acceptance.content = below.content::varchar
        and acceptance.recorded_at > coalesce(below.returned_at, '-infinity'::timestamptz),
        false
    ) as stands,
    acceptance.recorded_by as accepted_by,
    acceptance.recorded_at as accepted_at,
    acceptance.reason
from below
left join acceptance using (data_set, org_unit_code, period)
