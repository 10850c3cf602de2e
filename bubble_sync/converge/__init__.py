"""One module for each kind of object: how it is observed, applied and removed."""
