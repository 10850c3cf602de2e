"""In a checkout: the names of the folder `components/`, which the wheel installs in place of this module."""

from components import *  # noqa: F403
from components import __all__ as __all__
