"""One module for each thing that a person does."""
