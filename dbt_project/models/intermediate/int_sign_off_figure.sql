{{ built_by_sign_off() }}

with account as (
    {{ accounts() }}
),

signed as (
    select
        account.data_set,
        account.period,
        account.org_unit_code,
        coalesce(signed.state, 'draft') as state
    from account
    left join {{ ref('int_sign_off_account') }} as signed
        on
            account.data_set = signed.data_set
            and account.part_period = signed.period
            and account.org_unit_code = signed.org_unit_code
    -- Where nobody has decided anything there is nothing to tell.
    where (account.data_set, account.period) in (
        select (decided.data_set, part.period)
        from {{ ref('int_sign_off_account') }} as decided
        inner join {{ source('domain', 'period_part') }} as part on decided.period = part.part_period
    )
),

under as (
    {{ with_all_above('signed') }}
),

figure as (
    select
        data_set,
        period,
        above_code as org_unit_code,
        case
            when bool_and(state = 'final') then 'final'
            when bool_and(state in ('accepted', 'final')) then 'accepted'
            when bool_or(state = 'returned') then 'returned'
        end as state
    from under
    group by data_set, period, above_code
)

select * from figure
where state is not null
