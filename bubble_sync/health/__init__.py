"""Report whether the sync works and, if not, why. Nothing here changes anything."""
