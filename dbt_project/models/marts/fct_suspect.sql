{{ config(tags=['judged']) }}

select
    finding_id,
    rank,
    org_unit_code,
    indicator_id,
    period,
    scope,
    reporter,
    value,
    would_be,
    findings_explained,
    hint,
    hint_en,
    hint_key,
    tied,
    slip,
    slips,
    proved
from {{ source('judged', 'suspect') }}
