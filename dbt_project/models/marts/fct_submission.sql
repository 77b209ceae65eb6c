{{ config(materialized='view') }}

select
    submission_id,
    delivery_id,
    source,
    data_set,
    reporter,
    org_unit_code,
    period,
    scope,
    version,
    action,
    status,
    file_name,
    content_sha256,
    sheet,
    row_number,
    received_at,
    landed_at
from {{ ref('int_submission') }}
