# SPDX-License-Identifier: MIT
"""Debian's Xen and kernel packages, downloaded and unpacked under build/xen, never installed."""
import gzip
import lzma
import os
import re
import shutil
import struct
import subprocess

from .paths import XEN

XEN_PACKAGES = """
    xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils libxenmisc4.17
    libxenstore4 libxenevtchn1 libxengnttab1 libxencall1 libxenforeignmemory1 libxentoollog1
    libxentoolcore1 libxendevicemodel1 libxenhypfs1 libyajl2 libnl-3-200 libnl-route-3-200
    libfdt1 liblzo2-2 libuuid1 libtinfo6 libncurses6""".split()


class PackageError(Exception):
    """A package could not be had; the text says what to do."""


def _output(*cmd):
    return subprocess.run(cmd, check=True, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL).stdout


def kernel_release():
    """The kernel to boot: the one whose headers are installed, because modules are built for it;
    without headers, the one that linux-image-amd64 stands for."""
    for cmd, pattern in (
            (("dpkg-query", "-W", "-f", "${Depends}", "linux-headers-amd64"),
             r"linux-headers-(\S+?-amd64)\b"),
            (("apt-cache", "depends", "linux-image-amd64"), r"linux-image-(\S+?-amd64)\b")):
        try:
            found = re.search(pattern, _output(*cmd))
        except (subprocess.CalledProcessError, OSError):
            continue
        if found:
            return found.group(1)
    raise PackageError("no linux-headers-amd64 installed and no linux-image-amd64 known to apt: "
                       "run make setup")


def _download(names, folder):
    cmd = ["apt-get", "download", "-q"] + names
    for attempt in (1, 2):
        done = subprocess.run(cmd, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True)
        if done.returncode == 0:
            return
        if attempt == 1:  # apt's lists may be missing or older than the archive
            sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
            subprocess.run(sudo + ["apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
    raise PackageError("cannot download %s:\n%s" % (" ".join(names), done.stdout))


def _deb_of(folder, name):
    found = [f for f in os.listdir(folder) if f.startswith(name + "_") and f.endswith(".deb")]
    return os.path.join(folder, sorted(found)[-1]) if found else None


def vmlinux(bzimage):
    """The ELF image inside a bzImage.  Decompressing it here takes one second, in an emulated
    machine ten."""
    data = open(bzimage, "rb").read()
    setup = (data[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[setup * 512 + offset:][:length]
    if payload[:6] != b"\xfd7zXZ\0":
        raise PackageError("%s: its payload is not xz, starts with %s"
                           % (bzimage, payload[:6].hex()))
    return lzma.LZMADecompressor().decompress(payload)


def without_zeros(elf, run=1 << 16):
    """The same ELF image with its runs of zeros turned into memory without file contents: half of
    Linux is such, and every octet is copied by the emulated machine at each boot."""
    phoff, = struct.unpack_from("<Q", elf, 32)
    phsize, phnum = struct.unpack_from("<HH", elf, 54)
    segments = []  # [type, flags, vaddr, paddr, contents, memory size, alignment]
    for i in range(phnum):
        kind, flags, off, va, pa, size, mem, align = struct.unpack_from("<IIQQQQQQ", elf,
                                                                        phoff + i * phsize)
        pieces = [(0, size)]
        if kind == 1:
            body, pieces, at = elf[off:off + size], [], 0
            for m in re.finditer(rb"\0{%d,}" % run, body):
                pieces.append((at, m.start()))
                at = m.end() & ~4095  # the next piece starts on a page
            pieces.append((at, size))
        for n, (a, b) in enumerate(pieces):
            end = pieces[n + 1][0] if n + 1 < len(pieces) else mem
            if end > a:
                segments.append((kind, flags, va + a, pa + a, elf[off + a:off + b], end - a, align))
    head = bytearray(elf[:64])
    struct.pack_into("<Q", head, 32, 64)                       # e_phoff
    struct.pack_into("<Q", head, 40, 0)                        # no section headers
    struct.pack_into("<HHHH", head, 56, len(segments), 0, 0, 0)
    at = -(-(64 + 56 * len(segments)) // 4096) * 4096
    table, bodies = b"", b""
    for kind, flags, va, pa, body, mem, align in segments:
        table += struct.pack("<IIQQQQQQ", kind, flags, at + len(bodies), va, pa, len(body), mem,
                             align)
        bodies += body + bytes(-len(body) % 4096)
    return bytes(head) + table + bytes(at - 64 - len(table)) + bodies


class Packages:
    """Paths of what was unpacked: root (all packages), kernel (ELF), xen, modules."""

    def __init__(self):
        self.release = kernel_release()
        self.root = os.path.join(XEN, "root")
        self.kernel = os.path.join(XEN, "vmlinux-" + self.release)
        self.xen = os.path.join(XEN, "xen")
        self.modules = os.path.join(self.root, "lib/modules", self.release, "kernel")

    def ensure(self, say=lambda text: None):
        """Downloads and unpacks what is missing; a complete tree costs no call of apt."""
        debs = os.path.join(XEN, "debs")
        os.makedirs(debs, exist_ok=True)
        names = XEN_PACKAGES + ["linux-image-" + self.release]
        missing = [n for n in names if not _deb_of(debs, n)]
        if missing:
            say("lab: downloading %d Debian packages" % len(missing))
            _download(missing, debs)
        stamp = os.path.join(XEN, "unpacked")
        want = "2\n" + "\n".join(sorted(os.path.basename(_deb_of(debs, n)) for n in names))
        if os.path.exists(stamp) and open(stamp).read() == want:
            return
        say("lab: unpacking Xen and Linux %s" % self.release)
        shutil.rmtree(self.root, ignore_errors=True)
        for name in names:
            subprocess.run(["dpkg", "-x", _deb_of(debs, name), self.root], check=True)
        boot = os.path.join(self.root, "boot")
        with gzip.open(os.path.join(boot, "xen-4.17-amd64.gz")) as src, open(self.xen, "wb") as dst:
            shutil.copyfileobj(src, dst)
        with open(self.kernel, "wb") as dst:
            dst.write(without_zeros(vmlinux(os.path.join(boot, "vmlinuz-" + self.release))))
        with open(stamp, "w") as f:
            f.write(want)

    def module(self, name):
        """Path of a kernel module by its name with dashes, as modules.dep spells it."""
        if not hasattr(self, "_modules"):
            self._modules = {}
            for folder, _, files in os.walk(self.modules):
                for f in files:
                    if f.endswith(".ko"):
                        self._modules[f[:-3].replace("_", "-")] = os.path.join(folder, f)
        try:
            return self._modules[name.replace("_", "-")]
        except KeyError:
            raise PackageError("kernel %s has no module %s" % (self.release, name)) from None
