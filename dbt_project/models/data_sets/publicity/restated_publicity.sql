-- written by `plumbline data-set sync` from the data set's YAML: edit that
{{ restate('publicity') }}
