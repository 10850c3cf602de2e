"""Connect to the database, read a snapshot, and translate errors."""
