"""Set up and check the project; no part of the product."""
