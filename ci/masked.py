"""Mask keys in a text: Pulumi shows jobs as they are, with keys that people wrote into them."""

from __future__ import annotations

import sys

from bubble_sync.config.keys import masked


def main() -> None:
    """Copy standard input to standard output, line by line."""
    for line in sys.stdin:
        # A bare carriage return ends a line of Markdown too.
        sys.stdout.write(masked(line.rstrip("\n").replace("\r", "\n")) + "\n")


if __name__ == "__main__":
    main()
