# SPDX-License-Identifier: MIT
"""A lab with Debian and systemd on disks, in dom0 and in the guest, for tests of the packages.

debootstrap makes both once (minutes, from the mirror of this machine's apt). Ours are not in them:
the test installs them, except that the module's package is installed into the guest's disk before
it starts, because the compiler takes a quarter of an hour in an emulated machine.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile

from . import image
from .lab import Lab
from .paths import XEN

DISK = os.path.join(XEN, "disk")
STAMP = "2"
DOM0_PACKAGES = ("xen-utils-4.17 xenstore-utils procps libb2-1 libev4 liblz4-1 libseccomp2 "
                 "libzstd1").split()
# Three of four modules are for hardware that is not there. depmod, the last step of dkms remove,
# reads all that are: five minutes in an emulated guest.
NO_MODULES = ("drivers/bluetooth drivers/comedi drivers/gpu drivers/hid drivers/hwmon drivers/iio "
              "drivers/infiniband drivers/media drivers/net drivers/platform drivers/staging "
              "drivers/usb net sound").split()
GUEST_PACKAGES = "dkms gcc make libc6-dev procps".split()
APT = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]

INITRD = """#!/bin/sh
# Only mounts the disk, whose init goes on.
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for m in %(modules)s; do insmod $m || echo "lab: insmod $m failed"; done
n=0
until mount -t ext4 %(root)s /mnt 2>/dev/null; do
    n=$((n + 1)); [ $n -lt 100 ] || { echo "lab: no %(root)s"; exec sh; }
    usleep 100000
done
umount /proc /sys
exec switch_root /mnt /sbin/init
"""

SERVICE = """[Unit]
Description=the test driver's agent
[Service]
ExecStart=/usr/local/sbin/labagent serve %s
Restart=no
KillMode=process
Environment=HOME=/root
[Install]
WantedBy=multi-user.target
"""


def _run(*cmd):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C"))
    if done.returncode:
        raise image.ImageError("%s: status %d:\n%s" % (" ".join(cmd), done.returncode,
                                                       done.stdout[-2000:]))
    return done.stdout


def mirror():
    """(address, source files) of Debian in this machine's apt."""
    files = glob.glob("/etc/apt/sources.list.d/*.sources") + ["/etc/apt/sources.list"]
    for path in files:
        text = open(path).read() if os.path.exists(path) else ""
        m = re.search(r"^(?:URIs: |deb (?:\[.*?\] )?)(http\S+/debian/?)(?=\s)", text, re.M)
        if m:
            return m.group(1), path
    raise image.ImageError("no Debian mirror in /etc/apt")


@contextlib.contextmanager
def _devices(root):
    """What packages' scripts need in a root: /proc and /dev."""
    _run("mount", "-t", "proc", "proc", root + "/proc")
    try:
        _run("mount", "--bind", "/dev", root + "/dev")
        try:
            yield
        finally:
            _run("umount", root + "/dev")
    finally:
        _run("umount", root + "/proc")


def _clean_roots(release, say):
    """base, dom0 and guest under DISK: Debian without anything of ours."""
    stamp = os.path.join(DISK, "ready")
    want = "%s %s" % (STAMP, release)
    if os.path.exists(stamp) and open(stamp).read() == want:
        return
    if not shutil.which("debootstrap"):
        raise image.ImageError("no debootstrap: apt-get install debootstrap")
    say("lab: making Debian disks for dom0 and the guest; this takes minutes, once")
    shutil.rmtree(DISK, ignore_errors=True)
    os.makedirs(DISK)
    address, source = mirror()
    base = os.path.join(DISK, "base")
    _run("debootstrap", "--variant=minbase", "--include=systemd-sysv,udev,kmod,adduser,dbus",
         "bookworm", base, address)
    if source.endswith(".sources"):
        shutil.copy(source, os.path.join(base, "etc/apt/sources.list.d/"))
        open(os.path.join(base, "etc/apt/sources.list"), "w").close()
    else:
        shutil.copy(source, os.path.join(base, "etc/apt/"))
    policy = os.path.join(base, "usr/sbin/policy-rc.d")
    with open(policy, "w") as f:
        f.write("#!/bin/sh\nexit 101\n")  # nothing is started while disks are made
    os.chmod(policy, 0o755)
    _run("chroot", base, "apt-get", "update", "-q")
    for name, packages in (("dom0", DOM0_PACKAGES),
                           ("guest", GUEST_PACKAGES + ["linux-headers-" + release])):
        root = os.path.join(DISK, name)
        _run("cp", "-a", base, root)
        with _devices(root):
            _run("chroot", root, *APT, *packages)
            _run("chroot", root, "apt-get", "clean")
    with open(stamp, "w") as f:
        f.write(want)


def _initrd(packages, modules, root, path):
    img = image.Image([packages.root])
    img.busybox()
    paths = img.kernel_modules(packages, modules)
    img.text("init", INITRD % {"modules": " ".join(paths), "root": root}, 0o755)
    img.write(path)


def _write(root, name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def _common(root, packages, agent, hostname, serve):
    modules = os.path.join(root, "usr/lib/modules")
    os.makedirs(modules, exist_ok=True)
    _run("cp", "-a", os.path.join(packages.root, "lib/modules", packages.release), modules)
    for folder in NO_MODULES:
        shutil.rmtree(os.path.join(modules, packages.release, "kernel", folder))
    _run("depmod", "-b", os.path.join(root, "usr"), packages.release)
    shutil.copy(agent, os.path.join(root, "usr/local/sbin/labagent"))
    _write(root, "etc/systemd/system/lab-agent.service", SERVICE % serve)
    _write(root, "etc/hostname", hostname + "\n")
    _write(root, "etc/fstab", "")
    _write(root, "etc/machine-id", "")
    policy = os.path.join(root, "usr/sbin/policy-rc.d")
    if os.path.exists(policy):
        os.unlink(policy)
    _run("chroot", root, "systemctl", "enable", "lab-agent.service")
    _run("chroot", root, "systemctl", "mask", "getty@tty1.service", "serial-getty@hvc0.service",
         "console-getty.service", "apt-daily.timer", "apt-daily-upgrade.timer",
         "systemd-timesyncd.service", "e2scrub_all.timer", "dpkg-db-backup.timer", "fstrim.timer",
         "xendomains.service")


def _make(name, size, change, path):
    """Writes the file system `path`: the clean root `name` as `change(root)` changes a copy of it.
    The copy is an overlay, mounted for this long."""
    top = tempfile.mkdtemp(prefix="gvm-disk-", dir=XEN)
    root = os.path.join(top, "root")
    try:
        for d in ("root", "upper", "work"):
            os.mkdir(os.path.join(top, d))
        _run("mount", "-t", "overlay", "-o", "lowerdir=%s,upperdir=%s/upper,workdir=%s/work"
             % (os.path.join(DISK, name), top, top), "overlay", root)
        try:
            with _devices(root):
                change(root)
            _run("rm", "-f", path)
            _run("mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum", "-E", "root_owner=0:0",
                 "-d", root, path, size)
        finally:
            _run("umount", root)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def make(packages, agent, debs, programs, say):
    """Both disks and the initial file systems that mount them: {name: path}."""
    _clean_roots(packages.release, say)
    out = {n: os.path.join(DISK, n) for n in ("dom0.ext4", "guest.ext4", "dom0.img", "guest.img")}
    _initrd(packages, "virtio-pci virtio-blk crc32c-generic ext4".split(), "/dev/vda",
            out["dom0.img"])
    _initrd(packages, "xen-blkfront crc32c-generic ext4".split(), "/dev/xvda", out["guest.img"])

    def guest(root):
        _common(root, packages, agent, "guest", "/dev/hvc0 --guest")
        os.makedirs(os.path.join(root, "root/next"))
        for deb in glob.glob(os.path.join(debs, "*.deb")):
            if "dkms" in deb or "gvm-guest" in deb:
                shutil.copy(deb, os.path.join(root, "root"))
        for deb in glob.glob(os.path.join(debs, "next", "gvm-guest_*.deb")):
            shutil.copy(deb, os.path.join(root, "root/next"))
        for p in programs:
            shutil.copy(p, os.path.join(root, "usr/local/bin"))
        # the compiler's log goes with this root: its end belongs to the error
        _run("chroot", root, "sh", "-c", "dpkg -i /root/xen-vgpufront-dkms_*.deb || "
             "{ cat /var/lib/dkms/xen-vgpufront/*/build/make.log; exit 1; }")

    def dom0(root):
        _common(root, packages, agent, "dom0", "/dev/virtio-ports/lab")
        for folder in ("root/debs", "root/next"):
            os.makedirs(os.path.join(root, folder))
        for name in ("gvm-backd", "gvm-tools"):
            for deb in glob.glob(os.path.join(debs, name + "_*.deb")):
                shutil.copy(deb, os.path.join(root, "root/debs"))
            for deb in glob.glob(os.path.join(debs, "next", name + "_*.deb")):
                shutil.copy(deb, os.path.join(root, "root/next"))
        shutil.copy(packages.kernel, os.path.join(root, "boot/vmlinux"))
        shutil.copy(out["guest.img"], os.path.join(root, "boot/guest.img"))
        _write(root, "etc/xen/xl.conf", 'autoballoon="off"\n')
        _write(root, "etc/modules-load.d/lab.conf", "virtio_console\nxen-blkback\n")
        _write(root, "etc/systemd/system/lab-agent.service.d/port.conf",
               "[Unit]\nAfter=systemd-modules-load.service\n[Service]\n"
               "ExecStartPre=/bin/sh -c 'until [ -e /dev/virtio-ports/lab ]; do sleep 0.2; done'\n")
        # The service of a host: it would save and restore guests of its own.
        _run("chroot", root, "systemctl", "enable", "xen.service")

    _make("guest", "1800M", guest, out["guest.ext4"])
    _make("dom0", "1400M", dom0, out["dom0.ext4"])
    return out


class DiskLab(Lab):
    """A lab whose dom0 and guest are Debian systems on disks; `debs`: folder of our packages."""

    def __init__(self, run, debs, programs, say=lambda text: None):
        super().__init__(run, say)
        self.debs, self.programs = debs, programs
        self.dom0_args = "loglevel=6 systemd.show_status=1 "

    def _images(self, agent):
        made = make(self.packages, agent, self.debs, self.programs, self.say)
        self.initrd = made["dom0.img"]
        self.drives = (made["dom0.ext4"], made["guest.ext4"])

    @staticmethod
    def config(name, vgpu=None, memory=512, cmdline="", extra="", **options):
        """Text of an xl.cfg whose root is the second disk."""
        text = Lab.config(name, vgpu=vgpu, memory=memory, extra="\n".join(
            ["disk = [ 'phy:/dev/vdb,xvda,w' ]", extra]),
            cmdline="nowatchdog systemd.show_status=0 rd.udev.log_level=3 " + cmdline, **options)
        return text.replace('on_reboot = "destroy"', 'on_reboot = "restart"')
