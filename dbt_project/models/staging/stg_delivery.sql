with landed as (
    {{ landed('deliveries', {
        'delivery_id': 'varchar', 'source': 'varchar', 'file_name': 'varchar', 'content_sha256': 'varchar',
        'sender': 'varchar', 'received_at': 'timestamptz', 'landed_at': 'timestamptz', 'known_from': 'timestamptz',
        'status': 'varchar', 'batch': 'varchar'
    }) }}
)

select landed.*
from landed
cross join {{ source('build', 'parameter') }} as parameter
where landed.known_from <= parameter.known_at
qualify row_number() over (partition by landed.delivery_id order by landed.landed_at, landed.batch) = 1
