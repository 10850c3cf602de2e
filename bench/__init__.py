"""Measure speed as ratios against a baseline, and as counters. Run with `python -m bench`."""
