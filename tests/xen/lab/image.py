# SPDX-License-Identifier: MIT
"""Initial file systems of dom0 and of a guest: uncompressed cpio archives, written directly."""
import hashlib
import os
import stat
import struct
import subprocess

from .paths import BUILD, XEN

LIBDIRS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64")
LIB = "usr/lib/x86_64-linux-gnu/"


class ImageError(Exception):
    """Something that an image needs does not exist; the text names it."""


def elf_dynamic(path):
    """(needed libraries, interpreter, run paths) of an ELF file; empty for anything else."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:5] != b"\x7fELF\x02":
        return [], None, []
    phoff, = struct.unpack_from("<Q", data, 32)
    phsize, phnum = struct.unpack_from("<HH", data, 54)
    loads, dyn, interp = [], None, None
    for i in range(phnum):
        kind, _, off, vaddr, _, filesz, _, _ = struct.unpack_from("<IIQQQQQQ", data,
                                                                  phoff + i * phsize)
        if kind == 1:
            loads.append((vaddr, off, filesz))
        elif kind == 2:
            dyn = (off, filesz)
        elif kind == 3:
            interp = data[off:off + filesz].rstrip(b"\0").decode()
    if not dyn:
        return [], interp, []
    tags = [struct.unpack_from("<QQ", data, o) for o in range(dyn[0], dyn[0] + dyn[1], 16)]
    strtab = next((v for t, v in tags if t == 5), 0)
    base = next(off + strtab - va for va, off, size in loads if va <= strtab < va + size)

    def text(v):
        return data[base + v:data.index(b"\0", base + v)].decode()
    return ([text(v) for t, v in tags if t == 1], interp,
            [text(v) for t, v in tags if t in (15, 29)])


class Image:
    """Collects files by destination, then writes them as one archive."""

    def __init__(self, roots=()):
        self.entries = {}  # destination -> (mode, source path | bytes | link target)
        self.libdirs = [d for d in LIBDIRS if os.path.isdir(d)]
        for root in roots:  # unpacked packages, after the host's own libraries
            self.libdirs += [root + d for d in LIBDIRS if os.path.isdir(root + d)]
        for d in ("dev proc sys run tmp etc root mnt usr usr/bin usr/sbin usr/lib usr/lib64 var "
                  "var/log var/lib").split():
            self.folder(d)
        for d in "bin sbin lib lib64".split():
            self.link(d, "usr/" + d)
        self.link("var/run", "/run")
        self.link("var/lock", "/run/lock")
        self.entries["dev/console"] = (stat.S_IFCHR | 0o600, (5, 1))
        self.library("libgcc_s.so.1", __file__)  # pthread_cancel loads it when called
        self.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                                "user:x:1000:1000:user:/tmp:/bin/sh\n")
        self.text("etc/group", "root:x:0:\nuser:x:1000:\n")

    def folder(self, dest):
        while dest and dest not in self.entries:
            self.entries[dest] = (stat.S_IFDIR | 0o755, None)
            dest = os.path.dirname(dest)

    def link(self, dest, target):
        self.folder(os.path.dirname(dest))
        self.entries[dest] = (stat.S_IFLNK | 0o777, target)

    def text(self, dest, text, mode=0o644):
        self.folder(os.path.dirname(dest))
        self.entries[dest] = (stat.S_IFREG | mode, text.encode())

    def file(self, dest, src, mode=None):
        """One file, and the shared libraries that it needs."""
        src = os.path.realpath(src)
        if not os.path.isfile(src):
            raise ImageError("no file %s (for %s in the image)" % (src, dest))
        self.folder(os.path.dirname(dest))
        if mode is None:
            mode = 0o755 if os.access(src, os.X_OK) else 0o644
        self.entries[dest] = (stat.S_IFREG | mode, src)
        if dest.endswith(".ko"):
            return
        needed, interp, paths = elf_dynamic(src)
        if interp:
            dest = "usr" + interp if interp.startswith("/lib") else interp[1:]
            if dest not in self.entries:
                self.file(dest, interp, 0o755)
        for name in needed:
            self.library(name, src, paths)

    def library(self, name, user, paths=()):
        if LIB + name in self.entries or "usr/lib/gvm/" + name in self.entries:
            return
        here = os.path.dirname(user)
        for d in [p.replace("$ORIGIN", here) for p in paths] + self.libdirs + [here]:
            if os.path.exists(os.path.join(d, name)):
                self.file(LIB + name, os.path.join(d, name), 0o755)
                return
        raise ImageError("%s needs %s, which is in none of %s"
                         % (user, name, ", ".join(self.libdirs)))

    def busybox(self):
        box = "/bin/busybox"
        if not os.path.exists(box):
            raise ImageError("no /bin/busybox: run make setup (package busybox-static)")
        self.file("usr/bin/busybox", box)
        for applet in subprocess.run([box, "--list"], check=True, stdout=subprocess.PIPE,
                                     text=True).stdout.split():
            if "usr/bin/" + applet not in self.entries:
                self.link("usr/bin/" + applet, "busybox")

    def kernel_modules(self, packages, names):
        """Modules and what they depend on; returns their paths in the order of loading."""
        order = []

        def add(path):
            name = os.path.basename(path)
            data = open(path, "rb").read()
            at = data.find(b"\0depends=")
            deps = data[at + 9:data.index(b"\0", at + 9)].decode() if at >= 0 else ""
            for dep in filter(None, deps.split(",")):
                add(packages.module(dep))
            if "usr/lib/modules/" + name not in self.entries:
                self.file("usr/lib/modules/" + name, path, 0o644)
                order.append("/lib/modules/" + name)
        for n in names:
            add(n if os.sep in n else packages.module(n))
        return order

    def _digest(self):
        h = hashlib.sha256()
        for dest in sorted(self.entries):
            mode, what = self.entries[dest]
            if isinstance(what, str) and stat.S_ISREG(mode):
                st = os.stat(what)
                what = (what, st.st_mtime_ns, st.st_size)
            h.update(repr((dest, mode, what)).encode())
        return h.hexdigest()

    def write(self, path):
        """Writes the archive unless the one there was made from the same files.  True if written."""
        digest = self._digest()
        stamp = path + ".sha256"
        if os.path.exists(path) and os.path.exists(stamp) and open(stamp).read() == digest:
            return False
        tmp = "%s.%d" % (path, os.getpid())
        with open(tmp, "wb") as out:
            # folders sort before what is in them
            for ino, dest in enumerate(sorted(self.entries), 1):
                mode, what = self.entries[dest]
                dev, body = (0, 0), b""
                if stat.S_ISREG(mode):
                    body = what if isinstance(what, bytes) else open(what, "rb").read()
                elif stat.S_ISLNK(mode):
                    body = what.encode()
                elif stat.S_ISCHR(mode):
                    dev = what
                self._entry(out, ino, dest, mode, dev, body)
            self._entry(out, 0, "TRAILER!!!", 0, (0, 0), b"")
        os.rename(tmp, path)
        with open(stamp, "w") as f:
            f.write(digest)
        return True

    @staticmethod
    def _entry(out, ino, name, mode, dev, body):
        name = name.encode() + b"\0"
        out.write(b"070701" + b"".join(b"%08x" % v for v in (
            ino, mode, 0, 0, 1, 0, len(body), 0, 0, dev[0], dev[1], len(name), 0)))
        out.write(name + b"\0" * (-(110 + len(name)) % 4))
        out.write(body)
        out.write(b"\0" * (-len(body) % 4))


DOM0_INIT = """#!/bin/sh
# Process 1 of dom0: the toolstack's daemons, then the agent that the test driver talks to.
export PATH=/usr/lib/xen-4.17/bin:/usr/lib/gvm/bin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
for m in %(modules)s; do insmod $m || echo "lab: insmod $m failed"; done
mount -t xenfs xenfs /proc/xen
mkdir -p /var/lib/xen /var/lib/xenstored /var/log/xen/console /run/xen /run/xenstored /run/lock
hostname dom0
read -r cmdline < /proc/cmdline
case " $cmdline " in
*" lab.xenstored=oxenstored "*) oxenstored --pid-file /run/xenstored.pid ;;
*) xenstored --pid-file /run/xenstored.pid ;;
esac || { echo "lab: xenstored failed"; poweroff -f; }
xen-init-dom0 > /dev/null || echo "lab: xen-init-dom0 failed"
xenconsoled --pid-file=/run/xenconsoled.pid --log=guest || echo "lab: xenconsoled failed"
ifconfig lo 127.0.0.1
case " $cmdline " in
*" lab.shell "*) (while :; do setsid -c sh -l </dev/hvc1 >/dev/hvc1 2>&1; done) & ;;
esac
exec labagent serve /dev/vport0p1
"""

GUEST_INIT = """#!/bin/sh
# Process 1 of a guest: its kernel module, then the agent (or a shell) on the console.
export PATH=/usr/bin:/usr/sbin:/usr/lib/gvm/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t devpts devpts /dev/pts
read -r cmdline < /proc/cmdline
case " $cmdline " in
*" lab.nofront "*) ;;
*) for m in %(modules)s; do insmod $m || echo "lab: insmod $m failed"; done ;;
esac
export LD_LIBRARY_PATH=/usr/lib/gvm
case " $cmdline " in
*" lab.shell "*) while :; do setsid -c sh -l </dev/hvc0 >/dev/hvc0 2>&1; done ;;
esac
exec labagent serve /dev/hvc0 --guest
"""

PROFILE = """export PATH=/usr/lib/xen-4.17/bin:/usr/lib/gvm/bin:/usr/bin:/usr/sbin
export LD_LIBRARY_PATH=/usr/lib/gvm PS1='\\h# '
"""

XEN_PROGRAMS = """xl libxl-save-helper xenstored oxenstored xenconsoled xenconsole xen-init-dom0
    lsevtchn xen-diag xentop xentrace""".split()


def transcripts():
    """Names of the transcript programs that run in a guest."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conformance/xen.txt")
    return [n for n in (line.split("#")[0].strip() for line in open(path)) if n]


def payload(release):
    """What GVM has built: {part: path or list of paths}; a part that is not there is None."""
    def have(*names):
        for n in names:
            p = os.path.join(BUILD, n)
            if os.path.exists(p):
                return p
        return None
    programs = []
    folder = os.path.join(BUILD, "conformance")
    if os.path.isdir(folder):
        programs = [os.path.join(folder, n) for n in sorted(os.listdir(folder))
                    if os.path.isfile(os.path.join(folder, n))
                    and os.access(os.path.join(folder, n), os.X_OK)
                    and open(os.path.join(folder, n), "rb").read(4) == b"\x7fELF"]
    return {
        "gvm-backd": have("gvm-backd"), "gvm-worker": have("gvm-worker"),
        "gvm-agent": have("gvm-agent"), "gvm": have("gvm"),
        "gvm-worker-hostile": have("security/gvm-worker-hostile"),
        "xen-vgpufront.ko": have("domU-frontend/%s/xen-vgpufront.ko" % release),
        "libcudart.so.13": have("lib/libcudart.so.13"), "libcuda.so.1": have("lib/libcuda.so.1"),
        "conformance programs": programs or None,
        "transcripts": [p for p in (os.path.join(folder, "t", n) for n in transcripts())
                        if os.path.exists(p)] or None,
        "counts": have("bench/counts"), "vgpu-testback": have("xen/vgpu-testback"), "vgpu_probe": have("xen/vgpu_probe"),
        "gvm-fault": have("xen/gvm-fault"), "vgpu_load": have("xen/vgpu_load"),
        "vgpu_evil": have("xen/vgpu_evil"), "records.bin": have("xen/records.bin"),
        "gvm-backd with fault points": have("faults/gvm-backd"),
        "gvm-worker with fault points": have("faults/gvm-worker"),
        "xen-vgpufront.ko with fault points": have("faults/xen-vgpufront.ko"),
    }


def build_agent():
    """Compiles labagent, statically, if its source is newer."""
    src = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent.c")
    out = os.path.join(XEN, "labagent")
    if not os.path.exists(out) or os.stat(out).st_mtime < os.stat(src).st_mtime:
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-static",
                        "-s", "-o", out, src], check=True)
    return out


def guest_image(packages, agent, parts):
    img = Image()
    img.busybox()
    img.file("usr/bin/labagent", agent)
    modules = []
    if parts["xen-vgpufront.ko"]:
        modules = img.kernel_modules(packages, [parts["xen-vgpufront.ko"]])
    for lib in ("libcudart.so.13", "libcuda.so.1"):
        if parts[lib]:
            img.file("usr/lib/gvm/" + lib, parts[lib], 0o755)
    for n in ("gvm", "vgpu_probe", "vgpu_load", "vgpu_evil"):
        if parts[n]:
            img.file("usr/bin/" + n, parts[n])
    if parts["records.bin"]:
        img.file("usr/lib/gvm/records.bin", parts["records.bin"])
    if parts["vgpu_evil"]:
        img.kernel_modules(packages, ["xen-evtchn", "xen-gntalloc"])
    if parts["xen-vgpufront.ko with fault points"]:
        img.file("usr/lib/modules/faults/xen-vgpufront.ko",
                 parts["xen-vgpufront.ko with fault points"], 0o644)
    for p in parts["conformance programs"] or ():
        img.file("usr/lib/gvm/bin/" + os.path.basename(p), p)
    if parts["counts"]:
        img.file("usr/bin/counts", parts["counts"])
    for p in parts["transcripts"] or ():
        img.file("usr/lib/gvm/t/" + os.path.basename(p), p)
    img.text("init", GUEST_INIT % {"modules": " ".join(modules)}, 0o755)
    img.text("etc/profile", PROFILE)
    return img


def driver_image(packages, parts):
    """What a driver domain has beside the guest's image, to be appended to that."""
    img = Image([packages.root])
    for n in ("gvm-backd", "gvm-worker", "gvm"):
        if parts[n]:
            img.file("usr/lib/gvm/bin/" + n, parts[n])
    modules = img.kernel_modules(packages, ["xen-evtchn", "xen-gntdev", "xenfs"])
    # PATH's libcuda.so.1 is a guest's: the daemon is not to take it for a driver
    img.text("usr/bin/driver-domain", "#!/bin/sh\n"
             + "".join("insmod %s || exit 1\n" % m for m in modules)
             + "mount -t xenfs xenfs /proc/xen && unset LD_LIBRARY_PATH && exec gvm-backd\n", 0o755)
    img.text("etc/gvm/gvm.conf", "device_kind = ptx\nprofile small = mem=64M, weight=128\n")
    return img


def dom0_image(packages, agent, parts, guest_path, config, driver_path=None):
    """config: text of /etc/gvm/gvm.conf, or None.  driver_path: what driver_image() made."""
    img = Image([packages.root])
    img.busybox()
    img.file("usr/bin/labagent", agent)
    xenbin = os.path.join(packages.root, "usr/lib/xen-4.17/bin")
    for n in XEN_PROGRAMS:
        img.file("usr/lib/xen-4.17/bin/" + n, os.path.join(xenbin, n))
    for n in "ls read write rm exists list watch chmod".split():
        img.file("usr/bin/xenstore-" + n, os.path.join(packages.root, "usr/bin/xenstore-" + n))
    modules = img.kernel_modules(packages, "xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs "
                                           "virtio-pci virtio-console".split())
    for n in ("gvm-backd", "gvm-worker", "gvm-agent", "gvm", "gvm-worker-hostile"):
        if parts[n]:
            img.file("usr/lib/gvm/bin/" + n, parts[n])
    for n in ("gvm-backd", "gvm-worker"):
        if parts[n + " with fault points"]:
            img.file("usr/lib/gvm/faults/" + n, parts[n + " with fault points"])
    for n in ("vgpu-testback", "gvm-fault"):
        if parts[n]:
            img.file("usr/bin/" + n, parts[n])
    if config is not None:
        img.text("etc/gvm/gvm.conf", config)
    img.folder("etc/xen/auto")
    img.file("etc/xen/oxenstored.conf", os.path.join(packages.root, "etc/xen/oxenstored.conf"))
    img.folder("usr/lib/xen-4.17/boot")
    img.text("etc/xen/xl.conf", "autoballoon=\"off\"\nvif.default.script=\"none\"\n")
    img.file("boot/vmlinux", packages.kernel, 0o644)
    img.file("boot/guest.img", guest_path, 0o644)
    if driver_path:
        img.file("boot/driver.img", driver_path, 0o644)
    img.text("init", DOM0_INIT % {"modules": " ".join(modules)}, 0o755)
    img.text("etc/profile", PROFILE)
    return img
