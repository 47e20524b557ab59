#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [--host C|oxenstored] [--full] [--list] [PATTERN...] - runs the tests inside Xen.

Boots the lab once per host configuration.  Tests are the functions test_* of tests/xen/test_*.py,
in the order of the files and of their lines; with PATTERNs those whose names contain one of them.
"""
import argparse
import importlib
import os
import shutil
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lab import Lab, LabError  # noqa: E402
from lab.paths import LOGS  # noqa: E402
from xentest import Failed, Skip  # noqa: E402

HOSTS = ("C", "oxenstored")
MODULES = ("test_host", "test_gvm", "test_counts", "test_gvm_faults", "test_security",
           "test_suspend")
FULL_MODULES = MODULES + ("test_suspend_more", "test_suspend_held", "test_driver",
                          "test_frontend")  # --full
FAULT_MODULES = ("test_faults", "test_hostile")  # --faults, in a boot of their own
SOAK_MODULES = ("test_soak",)  # --soak MINUTES, likewise, or after those of --faults
BUDGET = 900   # seconds for all of it; what has not run by then has failed.  480 are planned
KEEP_RUNS = 10


def collect(patterns, modules):
    found = []
    for name in modules:
        if not os.path.exists(os.path.join(HERE, name + ".py")):
            continue
        module = importlib.import_module(name)
        tests = [v for k, v in vars(module).items()
                 if k.startswith("test_") and callable(v)]
        found += [t for t in tests if not patterns or any(p in t.__name__ for p in patterns)]
    return found


class Run:
    def __init__(self, budget):
        self.end = time.monotonic() + budget
        self.passed, self.failed, self.skipped = 0, [], 0
        self.name = "%s-%d" % (time.strftime("%Y%m%d-%H%M%S"), os.getpid())
        self.logs = []
        self.lab = None
        self.reboots = 0

    def report(self, verdict, name, seconds, text=""):
        print("%-4s %s (%.1f s)%s" % (verdict, name, seconds, ": " + text if text else ""),
              flush=True)

    def boot(self, host):
        lab = Lab(os.path.join(self.name, host + ("-%d" % self.reboots if self.reboots else "")),
                  say=lambda text: print(text, flush=True))
        self.logs.append(lab.logs)
        lab.boot(xenstored=host)
        print("xen: dom0 with %s xenstored up in %.1f s" % (host, lab.boot_seconds), flush=True)
        return lab

    def one(self, test, host):
        name = "%s [%s]" % (test.__name__, host)
        start = time.monotonic()
        if start > self.end:
            self.failed.append(name)
            return self.report("FAIL", name, 0, "not run: the time budget is used up")
        missing = [p for p in getattr(test, "needs", ()) if not self.lab.parts.get(p)]
        if missing:
            self.skipped += 1
            return self.report("skip", name, 0, "not built: " + ", ".join(missing))
        text = None
        try:
            test(self.lab)
            trouble = self.lab.trouble()
            if trouble:
                raise Failed("kernel trouble:\n" + "\n".join(trouble))
        except Skip as e:
            self.skipped += 1
            return self.report("skip", name, time.monotonic() - start, str(e))
        except (Failed, LabError) as e:
            text = str(e)
        except Exception:
            text = traceback.format_exc()
        if text is None:
            self.passed += 1
            return self.report("ok", name, time.monotonic() - start)
        self.failed.append(name)
        self.report("FAIL", name, time.monotonic() - start, text)
        self.after_failure(host, test)

    def after_failure(self, host, test):
        """Saves what dom0 knows; the next test gets new guests, or a new host if this one died."""
        lab = self.lab
        if not lab.agent.gone:
            try:
                lab.collect()
                if getattr(test, "keep_guests", False):
                    return
                for name in list(lab.guests):
                    lab.destroy(name)
                lab.trouble()
                return
            except LabError as e:
                print("xen: dom0 does not answer any more: %s" % str(e).split("\n")[0])
        lab.close()
        self.reboots += 1
        if self.reboots > 3:
            raise LabError("the host died %d times" % self.reboots)
        self.lab = self.boot(host)

    def host(self, host, tests):
        self.lab = None
        start = time.monotonic()
        try:
            self.lab = self.boot(host)
            for test in tests:
                self.one(test, host)
        except LabError as e:
            name = "host [%s]" % host
            self.failed.append(name)
            self.report("FAIL", name, time.monotonic() - start, str(e))
        finally:
            if self.lab:
                if self.failed and not self.lab.agent.gone:
                    self.lab.collect()
                self.lab.close()


def forget_old_runs():
    if os.path.isdir(LOGS):
        runs = sorted((os.path.join(LOGS, n) for n in os.listdir(LOGS)), key=os.path.getmtime)
        for old in runs[:-KEEP_RUNS]:
            shutil.rmtree(old, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description="Runs the tests inside Xen.")
    p.add_argument("--host", choices=HOSTS, help="only this host configuration")
    p.add_argument("--full", action="store_true",
                   help="also the kernel module against a backend that misbehaves")
    p.add_argument("--faults", action="store_true",
                   help="instead the fault matrix, with C xenstored; GVM_FAULT_CELLS=all: all of it")
    p.add_argument("--soak", type=float, metavar="MINUTES",
                   help="instead, or after the faults, guests that start, compute and die at "
                        "random for so long")
    p.add_argument("--list", action="store_true", help="names of the tests")
    p.add_argument("--budget", type=float, default=BUDGET, help="seconds (default %d)" % BUDGET)
    p.add_argument("pattern", nargs="*")
    args = p.parse_args()
    if args.faults or args.soak:
        args.host = args.host or HOSTS[0]
    if args.soak:
        os.environ["GVM_SOAK_MINUTES"] = str(args.soak)
        args.budget += 60 * args.soak
    modules = (FAULT_MODULES if args.faults else ()) + (SOAK_MODULES if args.soak else ())
    tests = collect(args.pattern, modules or (FULL_MODULES if args.full else MODULES))
    if args.list:
        for t in tests:
            print(t.__name__ + (" (every host)" if getattr(t, "every_host", False) else ""))
        return 0
    if not tests:
        print("no test matches %s" % " ".join(args.pattern), file=sys.stderr)
        return 2
    forget_old_runs()
    run = Run(args.budget)
    start = time.monotonic()
    print("xen: %d tests, time budget %d s" % (len(tests), args.budget), flush=True)
    for host in [args.host] if args.host else HOSTS:
        chosen = [t for t in tests
                  if args.host or host == HOSTS[0] or getattr(t, "every_host", False)]
        if chosen:
            run.host(host, chosen)
    if run.failed:
        print("xen: failed: %s\nxen: logs: %s" % (", ".join(run.failed), " ".join(run.logs)))
    print("xen: %.0f s of %d" % (time.monotonic() - start, args.budget))
    print("%d passed, %d failed, %d skipped" % (run.passed, len(run.failed), run.skipped))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
