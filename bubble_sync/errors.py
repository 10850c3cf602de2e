"""Define one error class for each action of the operator.

::

    SyncError
     ├── ConfigurationError      correct the stack's configuration
     │    └── WrongEnvironment   two settings name different projects
     ├── Unreachable             fix the network, the address or the password
     ├── PrerequisiteMissing     prepare the database (queue table, extensions, a writable server)
     ├── PrivilegeMissing        grant the named privilege, or connect as the right role
     ├── ForeignObject           decide who owns the object, then accept or remove it
     ├── Busy                    wait for the other session, then run again
     ├── NotFound                name an existing object
     ├── NotProven               fix the endpoint or the key: the probe failed
     ├── NotCurrent              update the git checkout: an old one would undo the change later
     ├── PulumiRefused           read Pulumi's error, correct the cause, run again
     ├── ForgeRefused            read GitHub's status, correct the request, run again
     ├── ServerRefused           read the SQLSTATE: PostgreSQL refused a statement
     └── PlatformError           fix this machine: a program is missing, or the embedded platform failed

A message names the problem, the object and the next step. Messages hold no secrets: only values that cannot be
secret are included. Names in them are of others, so a message is cleaned where it is read.
"""

from __future__ import annotations

from typing import Literal

from bubble_sync.printable import printable_lines


class SyncError(Exception):
    """An error with a remedy for the operator."""

    lost_race = False
    """Whether a concurrent change can be the cause, so that a retry may succeed."""
    timed_out = False
    """Whether a timeout of the server ended the statement or the transaction."""

    # Pulumi prints the module and class of a provider's exception, and omits the module `builtins`:
    # the line reads "error: PrerequisiteMissing: ...".
    __module__ = "builtins"

    def __str__(self) -> str:
        """Return the message for a terminal: Pulumi prints it too."""
        return printable_lines(super().__str__())

    def __init_subclass__(cls) -> None:
        """Give every subclass the same short printed name."""
        super().__init_subclass__()
        cls.__module__ = "builtins"


class ConfigurationError(SyncError):
    """The stack's configuration is invalid."""


class WrongEnvironment(ConfigurationError):
    """Settings of one stack name different projects."""


class Unreachable(SyncError):
    """The database does not answer or rejects the login."""

    retry: Literal["soon", "when free", "never"]
    """When to connect again."""

    def __init__(self, text: str, retry: Literal["soon", "when free", "never"] = "soon") -> None:
        """Store the message and the time for another attempt."""
        super().__init__(text)
        self.retry = retry


class PrerequisiteMissing(SyncError):
    """The database lacks a requirement of the sync."""


class PrivilegeMissing(SyncError):
    """The connecting role lacks a privilege."""


class ForeignObject(SyncError):
    """An object of this name belongs to someone else."""


class Busy(SyncError):
    """Another session holds a required lock."""


class NotFound(SyncError):
    """The named object does not exist."""


class NotProven(SyncError):
    """The probe of a key did not succeed."""


class NotCurrent(SyncError):
    """The git checkout has local changes, or lacks remote ones."""


class PulumiRefused(SyncError):
    """A Pulumi command failed."""


class ForgeRefused(SyncError):
    """GitHub refused a request."""


class ServerRefused(SyncError):
    """PostgreSQL refused a statement."""


class PlatformError(SyncError):
    """This machine lacks a program, or its embedded platform failed."""
