"""What builds, sets up and checks the project; nothing of it is part of the product."""
