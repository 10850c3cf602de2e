"""Dynamic providers: each an importable, stateless class, thin over `converge`.

Module paths, class names, resource type tokens and URNs of this package are state format: stacks in the field hold
them.
A rename needs a shim or an alias.
"""
