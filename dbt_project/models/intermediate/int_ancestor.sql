{{ ancestors('int_tree') }}
