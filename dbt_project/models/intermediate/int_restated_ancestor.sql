{{ ancestors('int_restated_tree') }}
