# SPDX-License-Identifier: MIT
"""Every point of the life cycle, every kind of fault: faults.py."""
import faults
from lab import LabError
from xentest import Failed, needs

PARTS = ("gvm", "gvm-backd with fault points", "xen-vgpufront.ko with fault points", "gvm-fault",
         "vgpu_probe", "vgpu_load")


def bench(lab):
    """Made at its first use; again after a failure, which takes the guests along."""
    b = getattr(lab, "fault_bench", None)
    if b and (b.loop.rc is not None or b.victim.agent.gone):
        b.tool.cmd.kill(9)
        b.backd.kill(9)
        lab.dom0("kill -9 $(pidof gvm-backd) $(pidof gvm-worker); rm -rf /run/gvm")
        for name in list(lab.guests):
            lab.destroy(name)
        b = None
    if not b:
        b = lab.fault_bench = faults.Bench(lab)
    return b


def _point(point):
    @needs(*PARTS)
    def run(lab):
        kinds = [k for k in faults.KINDS if faults.ALL_CELLS or faults.third(point, k)]
        wrong, times = [], []
        for kind in kinds:
            b = bench(lab)
            try:
                times.append("%s %.1f s" % (kind, b.cell(point, kind)))
            except (Failed, LabError) as e:
                wrong.append("%s: %s" % (kind, e))
                b.give_up()
        print("       %s: %s" % (point, ", ".join(times)), flush=True)
        if wrong:
            raise Failed("\n".join(wrong))
    run.__name__ = "test_fault_" + point.replace(".", "_").replace("-", "_")
    run.keep_guests = True
    return run


for _name in faults.POINTS:
    globals()["test_fault_" + _name] = _point(_name)
del _name


@needs(*PARTS)
def test_faults_counted(lab):
    b = bench(lab)
    took, where = faults.TOTAL["slowest"]
    print("       %d points, %d kinds of fault: %d of %d cells passed; clean %.1f s later at most "
          "(%s), allowed are %d; the other guest computed %d rounds"
          % (len(faults.POINTS), len(faults.KINDS), faults.TOTAL["cells"],
             len(faults.POINTS) * len(faults.KINDS), took, where, faults.BOUND, b.steps()))
