#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gvm doctor on machines that are folders: what is missing is named, with the command that mends it,
and nothing else is."""
import os
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ.get('GVM_BUILD', 'build')
GVM = os.path.join(BUILD, 'gvm')
KERNEL = '6.1.0-test'

DOM0 = {
    '/proc/xen/capabilities': 'control_d\n',
    '/sys/hypervisor/type': 'xen\n',
    '/sys/hypervisor/guest_type': 'PV\n',
    '/sys/hypervisor/version/major': '4\n',
    '/sys/hypervisor/version/minor': '17\n',
    '/dev/xen/gntdev': '',
    '/dev/xen/evtchn': '',
    '/usr/lib/gvm/gvm-worker': '',
    '/proc/meminfo': 'MemTotal:  4000000 kB\nMemAvailable:  2000000 kB\nSwapTotal: 0 kB\n',
    '/lib/modules/%s/modules.dep' % KERNEL: '',
}
GUEST = {
    '/sys/hypervisor/type': 'xen\n',
    '/sys/hypervisor/guest_type': 'PVH\n',
    '/sys/bus/xen/devices/vgpu-0/state': 'Connected\n',
    '/sys/module/xen_vgpufront/refcnt': '0\n',
    '/dev/vgpu0': '',
    '/usr/lib/gvm/libcuda.so.1': '',
    '/lib/modules/%s/modules.dep' % KERNEL: '',
}
GPU = {
    '/sys/bus/pci/devices/0000:81:00.0/vendor': '0x10de\n',
    '/sys/bus/pci/devices/0000:81:00.0/class': '0x030200\n',
    '/sys/bus/pci/devices/0000:81:00.0/resource': '0x00000000f0000000 0x00000000f0ffffff 0x0000000000040200\n',
}
DRIVER = {
    '/sys/bus/pci/devices/0000:81:00.0/driver': '-> ../../../bus/pci/drivers/nvidia',
    '/proc/driver/nvidia/version': 'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  '
                                   'Release Build\nGCC version: gcc 12\n',
    '/usr/lib/x86_64-linux-gnu/libcuda.so.580.159.04': '',
    '/usr/lib/x86_64-linux-gnu/libcuda.so.1': '-> libcuda.so.580.159.04',
    '/dev/nvidiactl': '', '/dev/nvidia0': '', '/dev/nvidia-uvm': '',
}


@unittest.skipUnless(os.path.exists(GVM), 'gvm is not built')
class Doctor(unittest.TestCase):
    def doctor(self, *trees, without=(), **changed):
        """(exit status, {what: (verdict, text, mend)}) of a machine with these files."""
        files = {}
        for t in trees:
            files.update(t)
        files.update(changed.get('files', {}))
        root = tempfile.mkdtemp(prefix='gvm-doctor-')
        self.addCleanup(shutil.rmtree, root)
        for path, text in files.items():
            if path in without:
                continue
            full = root + path
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if text.startswith('-> '):
                os.symlink(text[3:], full)
            else:
                with open(full, 'w') as f:
                    f.write(text)
        p = subprocess.run([GVM, 'doctor', '--root', root], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, timeout=60)
        lines = p.stdout.rstrip('\n').split('\n')
        found, last = {}, None
        for x in lines[1:-1]:
            verdict, what, text = x[:5].strip(), x[6:22].strip(), x[23:]
            if verdict:
                last = (what, len(found))
                found[last] = [verdict, text, '']
            else:
                self.assertTrue(text.startswith('mend: '), x)
                found[last][2] = text[6:]
        self.title, self.text = lines[0], p.stdout
        counts = {v: sum(1 for f in found.values() if f[0] == v) for v in ('ok', 'warn', 'BAD')}
        self.assertEqual(lines[-1], '%(ok)d good, %(warn)d warnings, %(BAD)d bad' % counts)
        self.assertEqual(p.returncode, 1 if counts['BAD'] else 0, p.stdout)
        return {k[0]: v for k, v in found.items()}

    def only(self, found, verdict, what, text, mend):
        """Nothing but this one is wrong."""
        wrong = {k: v for k, v in found.items() if v[0] != 'ok'}
        self.assertEqual(list(wrong), [what], self.text)
        self.assertEqual(wrong[what][0], verdict, self.text)
        self.assertIn(text, wrong[what][1])
        self.assertIn(mend, wrong[what][2])

    def test_dom0_good(self):
        found = self.doctor(DOM0)
        self.assertEqual({v[0] for v in found.values()}, {'ok'}, self.text)
        self.assertIn('dom0 (PV)', self.title)
        self.assertIn('software device', found['GPU'][1])
        self.assertIn('65536 of the 131072 pages', found['maptrack'][1])

    def test_dom0_module(self):
        self.only(self.doctor(DOM0, without=['/dev/xen/gntdev']), 'BAD', 'xen-gntdev',
                  '/dev/xen/gntdev is not there', 'modprobe xen-gntdev')

    def test_dom0_worker(self):
        self.only(self.doctor(DOM0, without=['/usr/lib/gvm/gvm-worker']), 'BAD', 'gvm-worker', 'is in none',
                  'apt install gvm-backd')

    def test_dom0_old_xen(self):
        self.only(self.doctor(DOM0, files={'/sys/hypervisor/version/minor': '8\n'}), 'BAD', 'Xen', '4.8', '')

    def test_dom0_conf(self):
        found = self.doctor(DOM0, files={'/etc/gvm/gvm.conf': 'warm_workers = many\n'})
        self.only(found, 'BAD', 'gvm.conf', "warm_workers = 'many' is not allowed", 'edit')

    def test_dom0_maptrack(self):
        conf = {'/etc/gvm/gvm.conf': 'max_host_pages = 200000\n'}
        self.only(self.doctor(DOM0, files=conf), 'BAD', 'maptrack', '131072 pages', 'gnttab_max_maptrack_frames')
        conf['/xl-info'] = 'xen_commandline : placeholder gnttab_max_maptrack_frames=4096 x=1'
        self.assertEqual(self.doctor(DOM0, files=conf)['maptrack'][0], 'ok', self.text)
        del conf['/xl-info']
        conf['/sys/hypervisor/guest_type'] = 'PVH\n'  # one entry for a page
        self.assertEqual(self.doctor(DOM0, files=conf)['maptrack'][0], 'ok', self.text)

    def test_dom0_memory(self):
        self.only(self.doctor(DOM0, files={'/proc/meminfo': 'MemAvailable: 200000 kB\n'}), 'warn', 'memory',
                  '195 MiB', 'dom0_mem')

    def test_dom0_uids(self):
        found = self.doctor(DOM0, files={'/etc/passwd': 'root:x:0:0:::\neve:x:60010:1:::\n'})
        self.only(found, 'warn', 'uid_base', 'user eve has id 60010', 'uid_base')

    def test_dom0_boot(self):
        unit = {'/usr/lib/systemd/system/gvm-backd.service': '[Unit]\n'}
        self.only(self.doctor(DOM0, unit), 'warn', 'service', 'not started at boot', 'systemctl enable')
        unit['/etc/systemd/system/multi-user.target.wants/gvm-backd.service'] = unit[
            '/usr/lib/systemd/system/gvm-backd.service']
        self.assertEqual({v[0] for v in self.doctor(DOM0, unit).values()}, {'ok'}, self.text)

    def test_gpu_good(self):
        found = self.doctor(DOM0, GPU, DRIVER, files={'/sys/hypervisor/guest_type': 'PVH\n'})
        self.assertEqual({v[0] for v in found.values()}, {'ok'}, self.text)
        self.assertIn('580.159.04', found['NVIDIA driver'][1])

    def test_gpu_pv(self):
        self.only(self.doctor(DOM0, GPU, DRIVER), 'warn', 'PV domain', 'does not support', 'dom0=pvh')

    def test_gpu_not_built(self):
        self.only(self.doctor(DOM0, GPU), 'BAD', 'NVIDIA driver', 'there is no nvidia.ko for Linux ' + KERNEL,
                  'IGNORE_XEN_PRESENCE=1')

    def test_gpu_not_loaded(self):
        found = self.doctor(DOM0, GPU, files={'/lib/modules/%s/updates/dkms/nvidia.ko.xz' % KERNEL: ''})
        self.only(found, 'BAD', 'NVIDIA driver', 'not loaded', 'modprobe nvidia')

    def test_gpu_nouveau(self):
        drv = {'/sys/bus/pci/devices/0000:81:00.0/driver': '-> ../../../bus/pci/drivers/nouveau'}
        self.only(self.doctor(DOM0, GPU, drv), 'BAD', 'GPU', 'driven by nouveau', 'blacklist nouveau')

    def test_gpu_passed_through(self):
        drv = {'/sys/bus/pci/devices/0000:81:00.0/driver': '-> ../../../bus/pci/drivers/pciback'}
        found = self.doctor(DOM0, GPU, drv)
        self.assertEqual(found['GPU'][0], 'ok')
        self.assertIn('backend=NAME', found['GPU'][1])

    def test_gpu_no_address(self):
        res = {'/sys/bus/pci/devices/0000:81:00.0/resource':
               '0x0000000000000000 0x0000000000ffffff 0x0000000000040200\n'}
        found = self.doctor(DOM0, GPU, DRIVER, res, {'/sys/hypervisor/guest_type': 'PVH\n'})
        self.only(found, 'BAD', 'GPU memory', 'has no address', 'Above 4G')

    def test_gpu_versions(self):
        old = {'/usr/lib/x86_64-linux-gnu/libcuda.so.1': '-> libcuda.so.570.1.2',
               '/usr/lib/x86_64-linux-gnu/libcuda.so.570.1.2': '', '/sys/hypervisor/guest_type': 'PVH\n'}
        self.only(self.doctor(DOM0, GPU, DRIVER, old), 'BAD', 'libcuda.so.1',
                  'of version 570.1.2, the module of 580.159.04', 'reboot')

    def test_gpu_no_nodes(self):
        found = self.doctor(DOM0, GPU, DRIVER, {'/sys/hypervisor/guest_type': 'PVH\n'},
                            without=['/dev/nvidia-uvm'])
        self.only(found, 'BAD', 'NVIDIA nodes', '/dev/nvidia-uvm', 'nvidia-modprobe')

    def test_guest_good(self):
        found = self.doctor(GUEST)
        self.assertEqual({v[0] for v in found.values()}, {'ok'}, self.text)
        self.assertIn('a Xen guest (PVH)', self.title)

    def test_guest_no_vgpu(self):
        found = self.doctor(GUEST, without=['/sys/bus/xen/devices/vgpu-0/state'])
        self.only(found, 'BAD', 'vgpu', 'has none', 'gvm attach')

    def test_guest_module(self):
        gone = ['/sys/module/xen_vgpufront/refcnt']
        self.only(self.doctor(GUEST, without=gone), 'BAD', 'module', 'no headers', 'linux-headers')
        tree = {'/lib/modules/%s/build/Makefile' % KERNEL: ''}
        self.only(self.doctor(GUEST, tree, without=gone), 'BAD', 'module', 'there is no xen-vgpufront',
                  'xen-vgpufront-dkms')
        tree = {'/lib/modules/%s/updates/dkms/xen-vgpufront.ko' % KERNEL: ''}
        self.only(self.doctor(GUEST, tree, without=gone), 'BAD', 'module', 'not loaded', 'modprobe xen-vgpufront')

    def test_guest_not_connected(self):
        found = self.doctor(GUEST, files={'/sys/bus/xen/devices/vgpu-0/state': 'Initialising\n'},
                            without=['/dev/vgpu0'])
        self.only(found, 'BAD', 'device', 'vgpu-0 is Initialising', 'gvm-backd')

    def test_guest_libraries(self):
        self.only(self.doctor(GUEST, without=['/usr/lib/gvm/libcuda.so.1']), 'BAD', 'libraries', 'in none of',
                  'apt install gvm-guest')

    def test_usage(self):
        p = subprocess.run([GVM, 'doctor', '--as', 'king'], stderr=subprocess.PIPE, text=True)
        self.assertEqual(p.returncode, 2)
        self.assertIn('allowed are dom0, backend, guest and local', p.stderr)


if __name__ == '__main__':
    unittest.main()
