{#- The grain of a table, checked in the periods that this build made. -#}
{% test one_row_per(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
{%- if 'period' in columns %}
where period in (select period from {{ source('build', 'work') }})
{%- endif %}
group by all
having count(*) > 1
{% endtest %}
