"""Define dynamic providers as importable, stateless classes over `converge`.

Module paths, class names, resource type tokens and URNs of this package are stored in the state of existing stacks. A
rename needs a shim or an alias.
"""
