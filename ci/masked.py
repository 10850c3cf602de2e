"""Clean a text for a log and a report: Pulumi shows jobs as they are, with keys that people wrote into them."""

from __future__ import annotations

import io
import sys

from bubble_sync.config.keys import masked
from bubble_sync.printable import printable_lines


def main() -> None:
    """Copy standard input to standard output, line by line."""
    # An error here would end Pulumi in the middle of its work.
    for line in io.TextIOWrapper(sys.stdin.buffer, "utf-8", "replace", newline="\n"):
        sys.stdout.write(printable_lines(masked(line.rstrip("\r\n"))) + "\n")


if __name__ == "__main__":
    main()
