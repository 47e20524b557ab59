# SPDX-License-Identifier: MIT
"""Starts QEMU with Xen, dom0's kernel and its initramfs."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess


def hardware():
    """True if this machine can run Xen under KVM: real or nested vmx/svm, and a usable /dev/kvm."""
    try:
        flags = open("/proc/cpuinfo").read()
    except OSError:
        return False
    return (" vmx" in flags or " svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def command(xen, kernel, initrd, log, dom0_args, memory, dom0_memory, smp, fds, pvh=True,
            drives=()):
    """fds: descriptors of sockets for the agent's port and the terminal."""
    binary = shutil.which("qemu-system-x86_64")
    if not binary:
        raise RuntimeError("no qemu-system-x86_64: run make setup")
    if hardware():
        accel, cpu = ["-accel", "kvm"], "host"
    else:
        # SMAP kills dom0 under emulation, RDTSCP cannot be emulated for PVH guests
        accel = ["-accel", "tcg,thread=multi,tb-size=1024"]
        cpu = "max,-smap,-smep,-rdtscp" + ("" if pvh else ",-svm")
    disks = []
    for n, path in enumerate(drives):  # what is written goes to a temporary file
        disks += ["-drive", "file=%s,format=raw,if=none,id=d%d,snapshot=on,cache=unsafe" % (path, n),
                  "-device", "virtio-blk-pci,drive=d%d" % n]
    return [binary, "-name", "gvm-lab", "-machine", "q35", *accel, "-cpu", cpu,
            "-smp", str(smp), "-m", "%dM" % memory, "-nodefaults", "-display", "none",
            "-no-reboot", "-serial", "file:" + log,
            *disks, "-device", "virtio-serial-pci",
            "-chardev", "socket,id=lab,fd=%d" % fds[0],
            "-device", "virtserialport,chardev=lab,name=lab,nr=1",
            "-chardev", "socket,id=tty,fd=%d" % fds[1],
            "-device", "virtconsole,chardev=tty,name=tty,nr=2",
            "-kernel", xen,
            "-append", "dom0_mem=%dM,max:%dM dom0_max_vcpus=%d com1=115200,8n1 console=com1 "
                       "loglvl=warning guest_loglvl=warning noreboot=0 bootscrub=0 "
                       # under emulation, Xen's lazy switching of vector registers mixes those of
                       # different domains up: memcpy then copies other people's data
                       "spec-ctrl=no,eager-fpu=1 xpti=0 watchdog=0 gnttab_max_frames=64 "
                       "conring_size=2M serial_tx_buffer=2M" % (dom0_memory, dom0_memory, smp),
            # QEMU splits at the comma: the kernel with its command line, then its initramfs
            "-initrd", "%s console=hvc0 quiet loglevel=4 panic=1 mitigations=off nokaslr "
                       "%s,%s" % (kernel, dom0_args, initrd)]


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.setsid()


def _prefer(pid):
    """Before other sessions' processes. Linux shares processors out among sessions first: an emulated
    machine beside some compilers gets so little that its clocks and time limits run into each other."""
    try:
        with open("/proc/%d/autogroup" % pid, "w") as f:
            f.write("-15")
    except OSError:
        pass  # not root, or a kernel without it


def start(**kwargs):
    """(process, agent's socket, terminal's socket)"""
    ours, theirs = zip(socket.socketpair(), socket.socketpair())
    fds = [s.fileno() for s in theirs]
    err = open(kwargs["log"] + ".qemu", "w")
    proc = subprocess.Popen(command(fds=fds, **kwargs), pass_fds=fds, stdin=subprocess.DEVNULL,
                            stdout=err, stderr=err, preexec_fn=_die_with_parent)
    err.close()
    _prefer(proc.pid)
    for s in theirs:
        s.close()
    return proc, ours[0], ours[1]
