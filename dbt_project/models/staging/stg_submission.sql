{{ config(materialized='view') }}

with landed as (
    {{ landed('submissions', {
        'submission_id': 'varchar', 'delivery_id': 'varchar', 'source': 'varchar', 'data_set': 'varchar',
        'reporter': 'varchar', 'reporter_kind': 'varchar', 'org_unit_code': 'varchar', 'period': 'varchar',
        'scope': 'varchar', 'action': 'varchar', 'explanation': 'varchar',
        'received_at': 'timestamptz', 'landed_at': 'timestamptz',
        'known_from': 'timestamptz', 'returned': 'boolean', 'is_primary': 'boolean', 'file_name': 'varchar', 'content_sha256': 'varchar',
        'sheet': 'varchar', 'row_number': 'integer', 'batch': 'varchar'
    }) }}
),

known as (
    select landed.*
    from landed
    cross join {{ source('build', 'parameter') }} as parameter
    where landed.known_from <= parameter.known_at
),

-- Two collectors that took the same input at once landed the same submission twice; the first one counts.
landed_again as (
    select
        submission_id,
        min((landed_at, batch)) as first_landing
    from known
    group by submission_id
    having count(*) > 1
)

select known.*
from known
left join landed_again using (submission_id)
where landed_again.first_landing is null or (known.landed_at, known.batch) = landed_again.first_landing
