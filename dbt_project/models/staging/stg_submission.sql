{{ config(materialized='table') }}

with landed as (
    {{ landed('submissions', {
        'submission_id': 'varchar', 'delivery_id': 'varchar', 'source': 'varchar', 'data_set': 'varchar',
        'reporter': 'varchar', 'reporter_kind': 'varchar', 'org_unit_code': 'varchar', 'period': 'varchar',
        'scope': 'varchar', 'action': 'varchar', 'received_at': 'timestamptz', 'landed_at': 'timestamptz',
        'known_from': 'timestamptz', 'returned': 'boolean', 'file_name': 'varchar', 'content_sha256': 'varchar',
        'sheet': 'varchar', 'row_number': 'integer'
    }) }}
)

-- Two collectors that took the same input at once landed the same submission twice; the first one counts.
select landed.*
from landed
cross join {{ source('build', 'parameter') }} as parameter
where landed.known_from <= parameter.known_at
qualify row_number() over (partition by landed.submission_id order by landed.landed_at) = 1
