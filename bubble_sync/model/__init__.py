"""Declare what a stack wants: every object, once."""
