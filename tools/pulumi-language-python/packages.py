"""What `pip list --format json` prints of this interpreter's environment, in a hundredth of its time.

The language host that is built here asks for it at each command, to find the packages that have a Pulumi plugin.
"""

import json
import sys
from pathlib import Path

version = f"python{sys.version_info.major}.{sys.version_info.minor}"
# Run with -S, so nothing has put the environment into sys.path: it is where the interpreter's link is.
site = Path(sys.argv[1]).resolve() / "lib" / version / "site-packages"
packages = []
for folder in sorted(site.glob("*.dist-info")):
    name, _, number = folder.name.removesuffix(".dist-info").rpartition("-")
    packages.append({"name": name.replace("_", "-"), "version": number, "location": str(site)})
print(json.dumps(packages))
