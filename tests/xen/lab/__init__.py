# SPDX-License-Identifier: MIT
"""A real Xen host in QEMU, scripted: dom0, guests, and what GVM puts in them."""
from .agent import Command, LabError  # noqa: F401
from .lab import Guest, Lab  # noqa: F401
