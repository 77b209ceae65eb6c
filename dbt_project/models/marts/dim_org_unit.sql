select
    org_unit_code,
    org_unit_name,
    level,
    parent_code,
    unit_type,
    is_pseudo,
    in_scope,
    valid_from,
    valid_to
from {{ source('domain', 'org_unit') }}
