"""Compare a database with what its stack wants. Nothing here changes anything."""
