"""Observe, apply and remove each kind of object, in a module of its own."""
