"""One module for each question that a person asks; nothing here changes anything."""
