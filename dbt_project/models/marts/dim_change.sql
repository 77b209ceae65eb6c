select
    change_id,
    kind,
    from_code,
    to_code,
    share,
    valid_from,
    evidence
from {{ source('domain', 'change') }}
