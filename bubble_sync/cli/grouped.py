"""Help of a command group: commands by panel, with full texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

_WHOLE = 300


class Grouped(TyperGroup):
    """A group whose help lists commands by panel without truncating their texts."""

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the commands, panel by panel."""
        rows: dict[str, list[tuple[str, str]]] = {}
        commands = [(name, command) for name, command in self.commands.items() if not command.hidden]
        width = max(len(name) for name, _ in commands)
        for name, command in commands:
            panel = getattr(command, "rich_help_panel", None)
            section = rows.setdefault(panel if isinstance(panel, str) else "Commands", [])
            section.append((name.ljust(width), command.get_short_help_str(_WHOLE)))
        for title, listed in rows.items():
            with formatter.section(title):
                formatter.write_dl(listed)
