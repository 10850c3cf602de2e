"""Connect to the database, read it in one block, and translate its errors."""
