{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    tags=['judged'],
    pre_hook="{{ forget_work() }}"
) }}

-- The ledger: what a unit claims against what rolls up below it.
with recursive claim as (
    select
        figure.*,
        indicator.group_name
    from {{ ref('int_figure') }} as figure
    inner join {{ source('domain', 'indicator') }} as indicator using (indicator_id, data_set)
    inner join {{ source('build', 'work') }} using (data_set, period)
    where figure.reported_total is not null and (indicator.additive or indicator.kind = 'registry')
),

-- Who owes a report that a claim's unit holds, from the reporter up to every ancestor.
missing as (
    select
        due.data_set,
        due.group_name,
        part.period,
        due.org_unit_code as missing_code,
        due.org_unit_code
    from {{ ref('int_due') }} as due
    inner join {{ source('domain', 'period_part') }} as part on due.period = part.part_period
    inner join {{ source('build', 'work') }} as work
        on due.data_set = work.data_set and part.period = work.period
    where due.received_at is null
    union
    select
        missing.data_set,
        missing.group_name,
        missing.period,
        missing.missing_code,
        tree.parent_code as org_unit_code
    from missing
    inner join {{ ref('int_tree') }} as tree using (period, org_unit_code)
    where tree.parent_code is not null
),

missing_by_unit as (
    select
        data_set,
        group_name,
        period,
        org_unit_code,
        list(distinct missing_code order by missing_code) as missing_units
    from missing
    group by all
),

-- What was said about a claim's findings.
said as (
    select
        finding.org_unit_code,
        finding.indicator_id,
        finding.period,
        finding.basis,
        bool_or(finding.status in ('explained', 'accepted')) as is_settled,
        arg_max(finding.explained, abs(finding.explained)) as explained
    from {{ source('judged', 'finding') }} as finding
    inner join {{ source('judged', 'rule') }} as rule using (rule_id)
    where rule.family in ('children_sum', 'registry_claim') and finding.account = 'claimed'
    group by all
),

compared as (
    select
        claim.*,
        printed.printed,
        coalesce(printed.low, claim.reported_total) as reported_low,
        coalesce(printed.high, claim.reported_total) as reported_high,
        claim.reported_total - claim.total_value as difference,
        coalesce(missing_by_unit.missing_units, []) as missing_units,
        coalesce(owed.is_awaited, false) as is_awaited,
        claim.total_value between reported_low and reported_high as is_within_print,
        coalesce(said.is_settled, false) as is_settled,
        coalesce(said.explained, 0) as explained_amount
    from claim
    left join {{ ref('int_printed') }} as printed
        on
            claim.data_set = printed.data_set
            and claim.indicator = printed.indicator
            and claim.org_unit_code = printed.org_unit_code
            and claim.period = printed.period
            and printed.scope = 'total'
    left join missing_by_unit
        on
            claim.data_set = missing_by_unit.data_set
            and claim.group_name = missing_by_unit.group_name
            and claim.period = missing_by_unit.period
            and claim.org_unit_code = missing_by_unit.org_unit_code
    left join {{ source('domain', 'group_period') }} as owed
        on
            claim.data_set = owed.data_set
            and claim.group_name = owed.group_name
            and claim.period = owed.period
    left join said
        on
            claim.org_unit_code = said.org_unit_code
            and claim.indicator_id = said.indicator_id
            and claim.period = said.period
            and claim.basis = said.basis
    qualify row_number() over (
        partition by claim.org_unit_code, claim.indicator_id, claim.period, claim.basis order by printed.reporter
    ) = 1
),

-- reported = own + children + explained + unexplained, to the last unit. What the print covers needs no other reason.
settled as (
    select
        *,
        case when is_within_print or is_settled then difference else explained_amount end as explained
    from compared
)

select
    org_unit_code,
    indicator_id,
    data_set,
    period,
    basis,
    reported_total,
    printed,
    total_value as rolled_up_total,
    own_value,
    children_value,
    difference,
    explained::decimal(28, 6) as explained,
    (difference - explained)::decimal(28, 6) as unexplained,
    missing_units,
    case
        when len(missing_units) > 0 or is_awaited or total_value is null then 'incomplete'
        when is_within_print then 'reconciled'
        when is_settled then 'explained'
        else 'unexplained'
    end as status
from settled
