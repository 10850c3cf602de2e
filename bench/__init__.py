"""How fast the product is: ratios against a baseline that is timed beside it, and counters. `python -m bench`."""
