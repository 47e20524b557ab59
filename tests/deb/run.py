#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py BUILD - the Debian packages in a scratch root, without Xen.

The root is an overlay over this machine's own, in a mount and process namespace of its own: what
the packages' scripts do there happens to nobody else. It has this machine's packages, so what ours
depend on must be installed (make setup). Needs root. Ends with `N passed, N failed, N skipped`.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
PACKAGES = ('gvm-backd', 'gvm-tools', 'gvm-guest', 'xen-vgpufront-dkms')
LIBDIR = '/usr/lib/x86_64-linux-gnu/gvm'
# What installing and removing any package writes, and what belongs to DKMS itself.
OTHERS = re.compile(r'^(var/lib/dpkg|var/cache|var/log|var/lib/systemd|var/lib/dkms/mok|tmp|run|proc|'
                    r'etc/ld\.so\.cache$|etc/(group|gshadow|passwd|shadow|subuid|subgid)-$|etc/\.pwd\.lock$|'
                    r'(usr/)?lib/modules/[^/]+/modules\.|boot/|var/lib/initramfs-tools)')


class Failed(Exception):
    """What was not as it must be."""


def output(*cmd):
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return p.returncode, p.stdout


class Root:
    """The scratch root; this process is in its namespaces."""

    def __init__(self, build, top):
        self.debs = os.path.join(build, 'deb')
        self.top = top
        self.at = os.path.join(self.top, 'root')
        self.upper = os.path.join(self.top, 'upper')
        self.mount('-t', 'tmpfs', '-o', 'mode=755', 'gvm-deb', self.top)
        for d in ('root', 'upper', 'work'):
            os.mkdir(os.path.join(self.top, d))
        self.mount('-t', 'overlay', '-o', 'lowerdir=/,upperdir=%s,workdir=%s/work' %
                   (self.upper, self.top), 'overlay', self.at)
        self.mount('-t', 'proc', 'proc', self.at + '/proc')
        self.mount('--rbind', '/dev', self.at + '/dev')
        self.mount('-t', 'tmpfs', 'run', self.at + '/run')
        self.mount('-t', 'tmpfs', '-o', 'mode=1777', 'tmp', self.at + '/tmp')
        self.one_kernel()
        self.env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C', 'HOME': '/root',
                    'DEBIAN_FRONTEND': 'noninteractive', 'TMPDIR': '/tmp'}

    def one_kernel(self):
        """DKMS builds for every kernel that it sees, a quarter of a minute each: one is enough."""
        modules = self.at + '/usr/lib/modules'
        found = sorted(d for d in os.listdir(modules) if os.path.isdir('%s/%s/build/.' % (modules, d)))
        self.kernel = found[0] if found else None
        kept = os.path.join(self.top, 'kernel')
        os.mkdir(kept)
        if found:
            self.mount('--bind', '%s/%s' % (modules, found[0]), kept)
        self.mount('-t', 'tmpfs', 'modules', modules)
        if found:
            os.mkdir('%s/%s' % (modules, found[0]))
            self.mount('--bind', kept, '%s/%s' % (modules, found[0]))

    @staticmethod
    def mount(*args):
        rc, text = output('mount', *args)
        if rc:
            raise Failed('mount %s: %s' % (' '.join(args), text.strip()))

    def run(self, *cmd, timeout=120, user=None, env=None):
        """(status, output) of a command in the root."""
        if user:
            cmd = ('setpriv', '--reuid', user, '--clear-groups') + cmd
        p = subprocess.run(('chroot', self.at) + cmd, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                           stderr=subprocess.STDOUT, text=True, timeout=timeout,
                           env=dict(self.env, **(env or {})))
        return p.returncode, p.stdout

    def sh(self, *cmd, **options):
        rc, out = self.run(*cmd, **options)
        if rc:
            raise Failed('%s: status %d: %s' % (' '.join(cmd), rc, out[-1500:]))
        return out

    def start(self, *cmd):
        return subprocess.Popen(('chroot', self.at) + cmd, stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self.env)

    def path(self, name):
        return os.path.join(self.at, name.lstrip('/'))

    def put(self, src, dest):
        shutil.copy(src, self.path(dest))

    def dpkg(self, folder, module=True):
        os.makedirs(self.path('/tmp/debs'), exist_ok=True)
        names = []
        found = [d for d in sorted(glob.glob(os.path.join(folder, '*.deb')))
                 if module or 'dkms' not in d]
        for deb in found:
            self.put(deb, '/tmp/debs')
            names.append('/tmp/debs/' + os.path.basename(deb))
        if len(names) != len(PACKAGES) - (not module):
            raise Failed('%s: %d packages' % (folder, len(names)))
        out = self.sh('dpkg', '--force-unsafe-io', '--path-include=/usr/share/man/*', '-i', *names, timeout=400)
        audit = self.sh('dpkg', '--audit')
        if audit:
            raise Failed('dpkg --audit:\n' + audit)
        return out


def expect(got, want, what):
    if got != want:
        raise Failed('%s: expected %r, got %r' % (what, want, got))


def matches(text, regex, what):
    if not re.search(regex, text, re.M):
        raise Failed('%s: no /%s/ in:\n%s' % (what, regex, text))


# --- tests, in this order; each goes on where the one before it ended

def test_lintian(root):
    """No error, no warning."""
    changes = glob.glob(os.path.join(root.debs, '*.changes'))
    rc, out = output('lintian', '--fail-on', 'error,warning', *changes)
    out = '\n'.join(x for x in out.split('\n') if 'root privileges' not in x).strip()
    expect((rc, out), (0, ''), 'lintian')


def test_install(root):
    """All four at once; the module is built for each kernel with headers."""
    root.dpkg(root.debs)
    status = root.sh('dkms', 'status', 'xen-vgpufront')
    if root.kernel:
        matches(status, r'^xen-vgpufront/[^,]+, %s, \S+: installed' % re.escape(root.kernel),
                'dkms status')
        info = root.sh('modinfo', '-k', root.kernel, 'xen-vgpufront')
        matches(info, r'^alias: +xen:vgpu$', 'modinfo')
    else:
        matches(status, r'^xen-vgpufront/[^,]+: added', 'dkms status')
    expect(root.sh('getent', 'group', 'gvm').split(':')[0], 'gvm', 'group')
    expect(root.sh('cat', '/lib/udev/rules.d/60-gvm-guest.rules').count('GROUP="gvm"'), 1, 'udev rule')


def test_manual(root):
    """A page for every command, file format and the protocol; each command, each option that --help
    names and each key of the configuration is in its page."""
    for section, name in ((1, 'gvm'), (8, 'gvm-backd'), (8, 'gvm-worker'), (8, 'gvm-guest'),
                          (5, 'gvm.conf'), (5, 'vgpu'), (7, 'vgpu')):
        path = root.sh('man', '-w', str(section), name).strip()
        matches(path, r'/man%d/%s\.%d' % (section, re.escape(name), section), 'man -w')
    page = root.sh('man', '1', 'gvm', env={'MANWIDTH': '200'})
    commands = re.findall(r'^  (\w+) +', root.sh('gvm', 'help'), re.M)
    expect([c for c in commands if not re.search(r'gvm %s\b' % c, page)], [],
           'commands without an entry in docs/man/gvm.1')
    helps = {'gvm': [('gvm', c, '--help') for c in commands], 'gvm-backd': [('gvm-backd', '--help')],
             'gvm-worker': [('/usr/lib/gvm/gvm-worker', '--help')]}
    for name, asked in helps.items():
        said = ''.join(root.sh(*cmd) for cmd in asked)
        options = set(re.findall(r'(?<!\S)\[?(--[a-z][a-z-]+)', said)) - {'--help'}
        page = root.sh('man', name, env={'MANWIDTH': '200'})
        expect((len(options) > 4, [o for o in sorted(options) if not re.search(
            r'(?<!\S)%s(?![a-z-])' % o, page)]), (True, []),
               'options of %s --help without an entry in its page' % name)
    page = root.sh('man', '5', 'gvm.conf')
    keys = re.findall(r'^#(\w+)', root.sh('cat', '/etc/gvm/gvm.conf'), re.M)
    expect([k for k in keys if not re.search(r'^ +%s\b' % k, page, re.M)], [],
           'keys without an entry in docs/man/gvm.conf.5')


def test_run_installed(root):
    """A program finds everything from the installed paths, as an ordinary user."""
    rc, out = root.run('gvm', 'run', '--kind', 'ptx', '--', '/tmp/holdon', '/tmp', user='65534')
    expect((rc, out.split('\n')[-2]), (0, 'PASSED'), 'gvm run, which printed ' + out)


def test_guest_default(root):
    """gvm-guest enable, status and disable, as ldconfig sees them."""
    rc, out = root.run('gvm-guest', 'status')
    expect(rc, 1, 'status before enable')
    matches(out, r"^libcuda.so.1: .*not GVM's: gvm-guest enable$", 'status')
    out = root.sh('gvm-guest', 'enable')
    matches(out, r'LD_PRELOAD=%s/libcudart.so.13 PROGRAM' % LIBDIR, 'gvm-guest enable')
    _, out = root.run('gvm-guest', 'status')
    for lib in ('libcuda.so.1', 'libcudart.so.13'):
        matches(out, r'^%s: %s/%s$' % (lib, LIBDIR, lib), 'status')
    out = root.sh('ldd', '/tmp/holdon')
    matches(out, r'libcudart.so.13 => %s/' % LIBDIR, 'ldd')
    rc, out = root.run('gvm-guest', 'enable', 'now')
    expect(rc, 2, 'gvm-guest with an argument too many')
    rc, out = root.run('gvm-guest', 'enable', user='65534')
    expect(rc, 1, 'gvm-guest enable as an ordinary user')
    matches(out, r'as root', 'gvm-guest enable')


def test_guest_disabled(root):
    """disable takes all back, enable does not mind being asked twice, or says who is before it."""
    conf = '/etc/ld.so.conf.d/0000-gvm.conf'
    for _ in range(2):
        matches(root.sh('gvm-guest', 'disable'), r'^Programs no longer find', 'gvm-guest disable')
        expect(os.path.exists(root.path(conf)), False, conf)
    expect(LIBDIR in root.sh('ldconfig', '-p'), False, 'ldconfig -p')
    rc, out = root.run('gvm-guest', 'status')
    expect(rc, 1, 'status after disable')
    for _ in range(2):
        root.sh('gvm-guest', 'enable')
        expect(open(root.path(conf)).read().count(LIBDIR + '\n'), 1, conf)
    first = root.path('/etc/ld.so.conf.d/000-first.conf')  # before 0000-gvm.conf
    os.mkdir(root.path('/tmp/first'))
    shutil.copy(root.path(LIBDIR + '/libcuda.so.1'), root.path('/tmp/first'))
    with open(first, 'w') as f:
        f.write('/tmp/first\n')
    rc, out = root.run('gvm-guest', 'enable')
    os.unlink(first)
    expect(rc, 1, 'gvm-guest enable behind another')
    matches(out, r"libcuda.so.1 is still found as '/tmp/first/libcuda.so.1'", 'gvm-guest enable')
    root.sh('gvm-guest', 'enable')


def test_own_path(root):
    """A program with an RPATH to another runtime gets that one, and ours by the line of gvm-guest."""
    cmd = ('gvm', 'run', '--kind', 'ptx', '--', '/tmp/withpath', '/tmp')
    rc, out = root.run(*cmd)
    matches(out, r'^cudaMalloc: error 999$', 'the other runtime')
    rc, out = root.run(*cmd, env={'LD_PRELOAD': LIBDIR + '/libcudart.so.13'})
    expect((rc, out.split('\n')[-2]), (0, 'PASSED'), 'with LD_PRELOAD, which printed ' + out)


def test_sysv(root):
    """The init script, where no systemd runs: in place of the daemon a program that sleeps."""
    script = '/etc/init.d/gvm-backd'
    root.sh('sh', '-n', script)
    defaults = root.path('/etc/default/gvm-backd')
    shutil.copy(root.path('/bin/sleep'), root.path('/tmp/gvm-backd'))
    with open(defaults, 'w') as f:
        f.write('DAEMON=/tmp/gvm-backd\nDAEMON_ARGS=1000\nCAPABILITIES=/proc/self/status\n')
    pidfile = root.path('/run/gvm-backd.pid')

    def daemon():
        """Its pid. This process is init here, and buries it when it ends."""
        pid, end = int(open(pidfile).read()), time.monotonic() + 10
        while open(root.path('/proc/%d/cmdline' % pid)).read() != '/tmp/gvm-backd\0' + '1000\0':
            if time.monotonic() > end:
                raise Failed('pid %d is not the daemon' % pid)
            time.sleep(0.01)
        threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()
        return pid
    try:
        expect(root.run(script, 'status')[0], 3, 'status before start')
        root.sh(script, 'start')
        first = daemon()
        expect(root.run(script, 'status')[0], 0, 'status')
        root.sh(script, 'start')
        expect(int(open(pidfile).read()), first, 'pid after a second start')
        # An upgrade puts another file there.
        shutil.copy(root.path('/bin/sleep'), root.path('/tmp/gvm-backd.new'))
        os.rename(root.path('/tmp/gvm-backd.new'), root.path('/tmp/gvm-backd'))
        root.sh(script, 'restart')
        second = daemon()
        expect((second != first, os.path.exists(root.path('/proc/%d' % first))), (True, False), 'restart')
        root.sh(script, 'force-reload')
        daemon()
        root.sh(script, 'stop')
        expect(root.run(script, 'status')[0], 3, 'status after stop')
        root.sh(script, 'stop')
        rc, out = root.run(script, 'begin')
        expect(rc, 2, 'an unknown word')
        matches(out, r'^Usage: .*start.stop.restart', 'usage')
    finally:
        root.run(script, 'stop')
        os.unlink(defaults)


def test_service_without_xen(root):
    """Where there is no Xen the service does not start, says so, and that is no failure."""
    out = root.sh('/etc/init.d/gvm-backd', 'start')
    matches(out, r'no Xen host', 'start')
    root.sh('/etc/init.d/gvm-backd', 'stop')
    root.sh('gvm-backd', '--end-workers')
    unit = root.sh('cat', '/lib/systemd/system/gvm-backd.service')
    matches(unit, r'^KillMode=process$', 'unit')
    if shutil.which('systemd-analyze'):
        rc, out = output('systemd-analyze', 'verify', '--man=no', '--root=' + root.at,
                         'gvm-backd.service')
        expect([x for x in out.split('\n') if 'gvm-backd' in x], [], 'systemd-analyze verify')


def test_upgrade_under_a_program(root):
    """The program goes on, a changed configuration stays, the default stays ours."""
    conf = root.path('/etc/gvm/gvm.conf')
    with open(conf, 'a') as f:
        f.write('spin_us = 60\n')
    program = root.start('gvm', 'run', '--kind', 'ptx', '--', '/tmp/holdon', '/tmp/stop')
    try:
        expect(program.stdout.readline(), 'started\n', 'program')
        root.dpkg(os.path.join(root.debs, 'next'), module=False)
        matches(root.sh('dpkg-query', '-W', '-f', '${Version}', 'gvm-backd'), 'next', 'version')
        expect(program.poll(), None, 'program after the upgrade')
        open(root.path('/tmp/stop'), 'w').close()
        out, _ = program.communicate(timeout=60)
        expect((program.returncode, out.split('\n')[-2]), (0, 'PASSED'), 'program: ' + out)
    finally:
        program.kill()
        program.wait()
    matches(open(conf).read(), '^spin_us = 60$', 'gvm.conf')
    test_run_installed(root)
    matches(root.sh('ldd', '/tmp/holdon'), r'libcudart.so.13 => %s/' % LIBDIR, 'ldd')


def test_purge(root):
    """Nothing is left."""
    root.sh('dpkg', '--purge', *PACKAGES)
    left = []
    for folder, dirs, files in os.walk(root.upper):
        rel = os.path.relpath(folder, root.upper)
        for name in files:
            path = os.path.normpath(os.path.join(rel, name))
            there = os.path.join(root.upper, path)
            below = os.path.join('/', path)
            if OTHERS.match(path) or not os.path.lexists(root.path(path)):
                continue
            if os.path.isfile(below) and open(below, 'rb').read() == open(there, 'rb').read():
                continue
            left.append(path)
        for name in dirs:
            path = os.path.normpath(os.path.join(rel, name))
            if not os.path.lexists('/' + path) and os.path.lexists(root.path(path)) \
                    and not OTHERS.match(path):
                left.append(path + '/')
    expect(left, [], 'files and folders that are left')
    rc, _ = root.run('getent', 'group', 'gvm')
    expect(rc, 2, 'getent group gvm')


TESTS = [v for k, v in list(globals().items()) if k.startswith('test_')]


def programs(build):
    """The two test programs: plain, and with an RPATH to a runtime that refuses everything."""
    out = os.path.join(build, 'deb', 'programs')
    os.makedirs(out, exist_ok=True)
    names = 'cudaMalloc cudaFree cudaMemcpy cudaMemset'.split()
    with open(os.path.join(out, 'other.c'), 'w') as f:
        f.write(''.join('int %s(void) { return 999; }\n' % n for n in names))
    source = os.path.join(HERE, 'holdon.c')
    lib = os.path.join(build, 'lib')
    for cmd in (
            ['-o', 'holdon', source, '-L' + lib, '-l:libcudart.so.13', '-Wl,--allow-shlib-undefined'],
            ['-shared', '-fPIC', '-Wl,-soname,libcudart.so.13', '-o', 'libcudart.so.13', 'other.c'],
            ['-o', 'withpath', source, '-L.', '-l:libcudart.so.13',
             '-Wl,-rpath,$ORIGIN/other,--disable-new-dtags']):
        subprocess.run(['gcc', '-O1'] + cmd, check=True, cwd=out)
    return out


def inside(build, top):
    count = {'ok': 0, 'FAIL': 0}
    try:
        root = Root(build, top)
    except Failed as e:  # a container may not mount an overlay
        print('skip test-deb: %s\n0 passed, 0 failed, %d skipped' % (e, len(TESTS)))
        return 0
    made = programs(build)
    os.mkdir(root.path('/tmp/other'))
    for name, dest in (('holdon', '/tmp/'), ('withpath', '/tmp/'), ('libcudart.so.13', '/tmp/other/')):
        root.put(os.path.join(made, name), dest)
    for test in TESTS:
        start, verdict, text = time.monotonic(), 'ok', ''
        try:
            test(root)
        except (Failed, OSError, subprocess.SubprocessError) as e:
            verdict, text = 'FAIL', ': %s' % e
        count[verdict] += 1
        print('%-4s %s (%.1f s)%s' % (verdict, test.__name__, time.monotonic() - start, text),
              flush=True)
    print('%d passed, %d failed, 0 skipped' % (count['ok'], count['FAIL']))
    return 1 if count['FAIL'] else 0


def main(argv):
    build = os.path.abspath(argv[1])
    if argv[2:3] == ['--inside']:
        return inside(build, argv[3])
    space = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private']
    rc, out = output(*space, 'true')
    if os.getuid() != 0 or rc:
        why = 'not root' if os.getuid() else out.strip()
        print('skip test-deb: %s' % why)
        print('0 passed, 0 failed, %d skipped' % len(TESTS))
        return 0
    with open(os.path.join(TREE, 'packaging/debian/changelog')) as f:
        version = re.match(r'\S+ \((.*)\)', f.readline()).group(1)
    subprocess.run([os.path.join(TREE, 'packaging/make-deb.sh'), version + '+next',
                    os.path.join(build, 'deb/next')], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, BUILD=build), cwd=TREE)
    top = tempfile.mkdtemp(prefix='gvm-deb-')
    p = subprocess.Popen(space + [sys.executable, os.path.abspath(__file__), build, '--inside', top])
    signal.signal(signal.SIGTERM, lambda s, f: p.kill())
    try:
        return p.wait()
    finally:
        os.rmdir(top)  # what was mounted there went with its namespace


if __name__ == '__main__':
    sys.exit(main(sys.argv))
