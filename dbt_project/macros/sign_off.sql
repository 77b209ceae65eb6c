{#- The data sets and periods whose sign-off this build makes: units of work of their own, named by `sign_off/` and the
    data set, so that a decision builds no figure again. -#}
{% macro sign_off_work() -%}
    (
        select
            split_part(data_set, '/', 2) as data_set,
            period
        from {{ source('build', 'work') }}
        where starts_with(data_set, 'sign_off/')
    )
{%- endmacro %}

{#- Configuration of a model built by (data set, period) of that work: they are forgotten, then appended anew. -#}
{% macro built_by_sign_off() -%}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{{ forget_sign_off() }}",
    tags=['sign_off']
) }}
{%- endmacro %}

{% macro forget_sign_off() -%}
    {%- if is_incremental() -%}
    delete from {{ this }}
    where (data_set, period) in (select (data_set, period) from {{ sign_off_work() }})
    {%- endif -%}
{%- endmacro %}

{#- Who gives an account in the work's periods, due or received: a query with one row per data set, period of the work,
    period inside it that is reported, and org unit. Claims are compared, not signed off. -#}
{% macro accounts() -%}
select
    account.data_set,
    part.period,
    account.period as part_period,
    account.org_unit_code
from (
    select
        data_set,
        period,
        org_unit_code
    from {{ ref('int_due') }}
    union
    select
        data_set,
        period,
        org_unit_code
    from {{ ref('int_submission') }}
    where scope = 'own' and status = 'accepted'
) as account
inner join {{ source('domain', 'period_part') }} as part on account.period = part.part_period
inner join {{ sign_off_work() }} as work on account.data_set = work.data_set and part.period = work.period
{%- endmacro %}

{#- The rows of CTE `accounts` once for each unit above them on the tree of `period`, themselves included, as `above_code`. -#}
{% macro with_all_above(accounts) -%}
select
    {{ accounts }}.*,
    {{ accounts }}.org_unit_code as above_code
from {{ accounts }}
union all
select
    {{ accounts }}.*,
    ancestor.ancestor_code as above_code
from {{ accounts }}
inner join {{ ref('int_tree') }} as tree using (period, org_unit_code)
inner join {{ ref('int_ancestor') }} as ancestor
    on tree.period = ancestor.period and tree.parent_code = ancestor.org_unit_code
{%- endmacro %}

{#- CTEs `account`, the accounts of the work's own periods, and `under`, these once for each unit above them. -#}
{% macro accounts_and_all_above() -%}
account as (
    select * exclude (part_period)
    from (
        {{ accounts() }}
    )
    where period = part_period
),

under as (
    {{ with_all_above('account') }}
)
{%- endmacro %}
