# SPDX-License-Identifier: MIT
"""Where things lie.  GVM_BUILD chooses another build folder, as BUILD= does for make."""
import os

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(TREE, os.environ.get("GVM_BUILD", "build"))
XEN = os.path.join(BUILD, "xen")
LOGS = os.path.join(XEN, "logs")
