"""What goes wrong, sorted by what the operator must do.

::

    SyncError
     ├── ConfigurationError      mend the stack's configuration
     │    └── WrongEnvironment   two of its parts name different projects
     ├── Unreachable             mend the network, the address or the password
     ├── PrerequisiteMissing     prepare the database (queue table, extensions, a writable server)
     ├── PrivilegeMissing        grant the named privilege, or connect as the right role
     ├── ForeignObject           decide whose object it is, then accept or remove it
     ├── Busy                    wait for the other session, then run again
     ├── NotFound                name something that is there
     ├── NotProven               mend the endpoint or the key: the probe did not prove that it works
     ├── NotCurrent              bring the git checkout up to date: an old one would undo the change later
     ├── PulumiRefused           read what Pulumi said, mend it, and run again
     ├── ServerRefused           read the SQLSTATE: PostgreSQL refused a statement
     └── PlatformError           mend this machine: a program is missing, or the embedded platform cannot go on

A message says what happened, to which object, and what to do next. It never holds a secret: values from outside go in
only where they cannot be one.
"""

from __future__ import annotations

from typing import Literal


class SyncError(Exception):
    """Something the operator can act on."""

    lost_race = False
    """Whether another session's change at the same moment can be the cause: the same change may succeed when it is
    begun anew."""

    # Pulumi prints module and class of an exception that a provider raises; in builtins only the class name is left,
    # so that a person reads "error: PrerequisiteMissing: ..." in one line.
    __module__ = "builtins"

    def __init_subclass__(cls) -> None:
        """Give every subclass the same short printed name."""
        super().__init_subclass__()
        cls.__module__ = "builtins"


class ConfigurationError(SyncError):
    """The stack's configuration cannot be used."""


class WrongEnvironment(ConfigurationError):
    """Parts of one stack name different projects."""


class Unreachable(SyncError):
    """The database does not answer, or does not let us in."""

    retry: Literal["soon", "when free", "never"]
    """When another attempt to connect makes sense."""

    def __init__(self, text: str, retry: Literal["soon", "when free", "never"] = "soon") -> None:
        """Take the line to show."""
        super().__init__(text)
        self.retry = retry


class PrerequisiteMissing(SyncError):
    """The database lacks what the sync is built on."""


class PrivilegeMissing(SyncError):
    """The connecting role may not do what is needed."""


class ForeignObject(SyncError):
    """An object of this name is there and is not ours to change."""


class Busy(SyncError):
    """Another session holds a lock that we need."""


class NotFound(SyncError):
    """What was asked about is not there."""


class NotProven(SyncError):
    """A key was tried, and nothing shows that it works."""


class NotCurrent(SyncError):
    """The git checkout has changes of its own, or lacks others' changes."""


class PulumiRefused(SyncError):
    """Pulumi did not do what it was asked."""


class ServerRefused(SyncError):
    """PostgreSQL refused a statement."""


class PlatformError(SyncError):
    """This machine lacks what is needed, or its embedded platform cannot go on."""
