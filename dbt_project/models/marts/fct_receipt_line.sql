select
    line.submission_id,
    line.delivery_id,
    delivery.source,
    line.file_name,
    line.sheet,
    line.cell,
    line.severity,
    line.code,
    line.message,
    line.message_en,
    line.would_be
from {{ ref('stg_receipt_line') }} as line
inner join {{ ref('stg_delivery') }} as delivery using (delivery_id)
