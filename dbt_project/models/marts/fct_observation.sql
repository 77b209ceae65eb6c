{{ config(materialized='view', tags=['judged']) }}

select
    observation.org_unit_code,
    observation.reporter,
    observation.indicator_id,
    observation.period,
    observation.scope,
    observation.value,
    coalesce(printed.printed, rtrim(rtrim(observation.value::varchar, '0'), '.')) as printed,
    observation.submission_id,
    submission.file_name,
    submission.sheet,
    cell_column.cell_column || coalesce(cell_column.row_number, submission.row_number) as cell
from {{ ref('int_observation') }} as observation
inner join {{ ref('fct_submission') }} as submission using (submission_id)
left join {{ ref('int_printed') }} as printed
    on observation.submission_id = printed.submission_id and observation.indicator = printed.indicator
left join {{ ref('stg_cell_column') }} as cell_column
    on
        submission.delivery_id = cell_column.delivery_id
        and submission.sheet is not distinct from cell_column.sheet
        and observation.data_set = cell_column.data_set
        and observation.indicator = cell_column.indicator
        and (cell_column.submission_id is null or observation.submission_id = cell_column.submission_id)
