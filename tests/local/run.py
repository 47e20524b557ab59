#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py BUILD [NAME...] - programs over the local transport, as users run them.

Works on a copy of what was built, in a folder that an ordinary user can read, and runs everything
as that user when started by root. A BUILD made with SAN=address gets the sanitizer's library
preloaded into the programs, which nvcc builds without it. Ends with `N passed, N failed, N skipped`.
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

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import diag
import mps
import park
import quota
import share
import starts
import wild

USER = 65534  # nobody
LIMIT = 120   # seconds for one program
SUPPRESSIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tsan.supp')
PASSING = ('vectorAdd', 'matrixMul', 'reduction', 'blackScholes', 'stencil', 'streams', 'launch10k',
           'printf', 'twothreads', 'edges')


class Failed(Exception):
    """What was not as it must be."""


class Skip(Exception):
    """Why a test cannot run here."""


class Stage:
    """The copy, and how programs are started in it."""

    Failed, Skip = Failed, Skip
    expect = staticmethod(lambda *args: expect(*args))

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix='gvm-local-')
        os.chmod(self.dir, 0o755)
        for name in ('gvm', 'gvm-backd', 'gvm-worker'):
            shutil.copy(os.path.join(build, name), self.dir)
        shutil.copytree(os.path.join(build, 'lib'), os.path.join(self.dir, 'lib'), symlinks=True)
        self.programs = os.path.join(self.dir, 'programs')
        conformance = os.path.join(build, 'conformance')
        shutil.copytree(conformance if os.path.isdir(conformance) else os.path.join(
            os.path.dirname(build), 'conformance'), self.programs)
        share = os.path.join(build, 'bench', 'share')
        if os.path.exists(share):
            shutil.copy(share, self.programs)
        self.user = USER if os.getuid() == 0 else os.getuid()
        self.tmp = os.path.join(self.dir, 'tmp')
        os.mkdir(self.tmp)
        os.chown(self.tmp, self.user, -1)
        self.env = {'PATH': os.environ['PATH'], 'HOME': self.tmp, 'TMPDIR': self.tmp}
        needed = subprocess.run(['ldd', os.path.join(self.dir, 'gvm')], stdout=subprocess.PIPE,
                                text=True).stdout
        m = re.search(r'(/\S*libtsan\S*)', needed)
        if m:
            self.env.update(LD_PRELOAD=m.group(1), TSAN_OPTIONS='exitcode=66 suppressions=' +
                            shutil.copy(SUPPRESSIONS, self.dir))
        m = re.search(r'(/\S*libasan\S*)', needed)
        self.asan = m.group(1) if m else None
        if self.asan:
            self.env.update(LD_PRELOAD=self.asan, UBSAN_OPTIONS='print_stacktrace=1',
                            ASAN_OPTIONS='detect_leaks=0:abort_on_error=0')

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, program, before=(), run=(), args=(), **options):
        command = list(before) + [os.path.join(self.dir, 'gvm'), 'run'] + list(run) + [
            '--', os.path.join(self.programs, program)] + list(args)
        options.setdefault('env', self.env)
        if os.getuid() == 0:
            options.update(user=self.user, group=self.user, extra_groups=[])
        return subprocess.Popen(command, cwd=self.tmp, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True, **options)

    def run(self, program, **options):
        """(exit status, output)"""
        p = self.start(program, **options)
        return self.finish(p, program)

    @staticmethod
    def finish(p, program):
        try:
            out, _ = p.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, _ = p.communicate()
            raise Failed('%s did not end within %d s; it printed:\n%s' % (program, LIMIT, out))
        for trouble in ('ERROR: AddressSanitizer', 'runtime error:', 'WARNING: ThreadSanitizer'):
            if trouble in out:
                raise Failed('%s:\n%s' % (program, out))
        return p.returncode, out

    def processes(self):
        """Pids of what runs from the copy."""
        found = []
        for link in glob.glob('/proc/[0-9]*/exe'):
            try:
                if os.readlink(link).startswith(self.dir):
                    found.append(int(link.split('/')[2]))
            except OSError:
                pass
        return found


def expect(got, want, what, out=''):
    if got != want:
        raise Failed('%s: expected %r, got %r\n%s' % (what, want, got, out))


def gone(stage):
    """Waits until nothing of the copy runs: what ends sends no event to a stranger."""
    end = time.monotonic() + 10
    while stage.processes():
        if time.monotonic() > end:
            raise Failed('left behind: processes %s' % stage.processes())
        time.sleep(0.02)
    left = [n for n in os.listdir(stage.tmp) if not n.startswith('.')]
    expect(left, [], 'files left in TMPDIR')


def program(name):
    def test(stage):
        rc, out = stage.run(name)
        expect(rc, 0, 'exit status of ' + name, out)
        if not re.search(r'PASSED$', out, re.M):
            raise Failed('%s did not say PASSED:\n%s' % (name, out))
    test.__name__ = name
    return test


def staticlink(stage):
    """One line that says how to relink."""
    rc, out = stage.run('staticlink')
    lines = out.strip().split('\n')
    if rc == 0 or len(lines) != 1 or '-cudart shared' not in lines[0]:
        raise Failed('status %d:\n%s' % (rc, out))


def progress(stage):
    """A waiting thread, a flooded stream and a kernel that waits for a launch: all get on."""
    rc, out = stage.run('t/stream_progress')
    expect(rc, 0, 'exit status', out)
    expect(re.findall('^(?:thread|seen|flooded|others) = .*$', out, re.M),
           ['thread = 0'] * 3 + ['seen = 42', 'flooded = 3000', 'others = 100'], 'results', out)


def threads(stage):
    """Many threads whose first calls come at the same time."""
    rc, out = stage.run('t/process_threads')
    expect(rc, 0, 'exit status', out)
    expect(re.findall(r'^\d+ = .*$', out, re.M),
           ['%d = 0 %d' % (i, i * 2560) for i in range(24)], 'results', out)


def own_static(stage):
    """nvcc's default link with our libcudart_static.a; libcuda.so.1 is opened at the first call."""
    rc, out = stage.run('ownstatic')
    expect(rc, 0, 'exit status', out)
    needed = subprocess.run(['readelf', '-d', os.path.join(stage.programs, 'ownstatic')],
                            stdout=subprocess.PIPE, text=True).stdout
    if 'PASSED' not in out or 'libcuda' in needed:
        raise Failed(out + needed)
    if os.path.exists('/usr/lib/x86_64-linux-gnu/libcuda.so.1'):
        return
    p = subprocess.run([os.path.join(stage.programs, 'ownstatic')], env=stage.env, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT)
    expect(p.returncode, 0, 'exit status without a driver', p.stdout)
    if '35 cudaErrorInsufficientDriver' not in p.stdout:
        raise Failed(p.stdout)


def no_ptx(stage):
    """Error 209 and one line of ours that names what the image holds."""
    rc, out = stage.run('noPTX')
    expect(rc, 0, 'exit status', out)
    said = [x for x in out.split('\n') if x.startswith('gvm')]
    if len(said) != 1 or '209' not in said[0] or 'sm_90' not in said[0]:
        raise Failed('lines of ours:\n' + out)


def later_device(stage):
    """A program for compute capability 10.0 alone is refused, as by an H200, unless the device says
    that it is such a one: then its loads and stores of 256 bits work, interpreted and compiled."""
    rc, out = stage.run('wide')
    expect(rc, 0, 'exit status', out)
    if 'launch: 209' not in out or 'sm_90 or lower; the image holds PTX sm_100' not in out:
        raise Failed(out)
    built = os.path.join(stage.build, 'gvm-ptx-jit.so')
    plugin = shutil.copy(built, stage.dir) if os.path.exists(built) else None
    try:
        for jit in ('0', '2') if plugin else ('0',):
            rc, out = stage.run('wide', env=dict(stage.env, GVM_PTX_SM='100', GVM_PTX_JIT=jit))
            expect(rc, 0, 'exit status, GVM_PTX_JIT=' + jit, out)
            expect(out.splitlines(), ['compute capability 10.0', 'wide ... PASSED'],
                   'output, GVM_PTX_JIT=' + jit)
    finally:
        if plugin:
            os.unlink(plugin)
    rc, out = stage.run('wide', env=dict(stage.env, GVM_PTX_SM='101'))
    if 'GVM_PTX_SM=101: allowed are 90 and 100' not in out:
        raise Failed('status %d:\n%s' % (rc, out))


def oob_beside_another(stage):
    """A stray store is a sticky error of its own process; the program beside it finishes."""
    beside = stage.start('blackScholes')
    rc, out = stage.run('oob')
    expect(rc, 0, 'exit status of oob', out)
    if 'error 700 as expected' not in out:
        raise Failed(out)
    rc, out = stage.finish(beside, 'blackScholes')
    expect(rc, 0, 'exit status of blackScholes', out)


def system_calls(stage):
    """10,000 launches cost at most 100 system calls of the program, naps until the device has caught
    up among them."""
    if not shutil.which('strace'):
        raise Skip('strace is not installed')
    if stage.asan:
        raise Skip('counted in the build without sanitizers')
    trace = os.path.join(stage.tmp, 'trace')
    rc, out = stage.run('launch10k', before=['strace', '-f', '-qq', '-o', trace])
    expect(rc, 0, 'exit status', out)
    lines = open(trace).read().split('\n')
    os.unlink(trace)
    marks = [i for i, x in enumerate(lines) if 'sethostname(' in x]
    expect(len(marks), 2, 'marks in the trace')
    pid = lines[marks[0]].split()[0]
    calls = [x for x in lines[marks[0] + 1:marks[1]]
             if x.split()[0] == pid and '<... ' not in x]
    print('       10,000 launches: %d system calls of the program' % len(calls))
    if len(calls) > 100:
        raise Failed('%d system calls:\n%s' % (len(calls), '\n'.join(calls[:20])))


# What calls.cu prints: answered calls in each step. One more is one more round trip for every program.
ANSWERED = {
    'context': 2, # the device's description, the image
    'allocate': 1, 'copy': 0, 'first_launch': 1, 'launch': 0, 'other_shape': 1, 'occupancy': 1,
    'attributes': 0, # they came with the first launch
    'lazy_launch': 2, 'launch_again': 0, 'copy_back': 0, 'free': 1, 'again': 0, 'reset': 1,
    'second_context': 2, 'second_time': 2}


def round_trips(stage):
    """How often a small program waits for an answer of the worker, step by step."""
    rc, out = stage.run('calls')
    expect(rc, 0, 'exit status', out)
    got = {k: int(v) for k, v in re.findall(r'^(\w+) (\d+)$', out, re.M)}
    expect(got, ANSWERED, 'answered calls', out)


def records(stage, *args):
    """How many records `mallocs ARGS` sends."""
    rc, out = stage.run('mallocs', run=['--stats'], args=args)
    expect(rc, 0, 'exit status', out)
    return int(re.search(r'\bcalls=(\d+)', out).group(1))


def allocations(stage):
    """Allocating and freeing in turns sends nothing; with a kernel in between one wait, and freed
    memory is all there again for whoever asks."""
    expect(records(stage, 'turns', '1000'), records(stage, 'turns', '1'), 'records of 1000 turns')
    # Fill, fetch, launch, wait.
    expect(records(stage, 'work', '21') - records(stage, 'work', '11'), 40, 'records of 10 turns')
    # Only the launches.
    expect(records(stage, 'stream', '21') - records(stage, 'stream', '11'), 10,
           'records of 10 turns in a stream')
    rc, out = stage.run('mallocs', run=['--mem', '64M'], args=['quota', '64'])
    expect(rc, 0, 'exit status with a quota', out)
    rc, out = stage.run('mallocs', args=['errors'])
    expect(rc, 0, 'exit status', out)


def killed(stage, victim):
    """Starts eventspin, kills one process of it when it runs; (status, output)."""
    p = stage.start('eventspin')
    said = p.stdout.readline()
    while said and 'started' not in said:
        said = p.stdout.readline()
    for pid in stage.processes():
        try:
            if os.path.basename(os.readlink('/proc/%d/exe' % pid)) == victim:
                os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended with the victim
    return stage.finish(p, 'eventspin')


def worker_killed(stage):
    """A program that asks for an event gets an error at once when its worker dies."""
    start = time.monotonic()
    rc, out = killed(stage, 'gvm-worker')
    if rc or not re.search(r'^cudaEventQuery: [1-9]\d* cudaError', out, re.M):
        raise Failed('status %d:\n%s' % (rc, out))
    if time.monotonic() - start > 30:
        raise Failed('it took %.0f s' % (time.monotonic() - start))


def gvm_killed(stage):
    """Killing `gvm run` leaves nothing behind: not the program, the daemon or the worker."""
    killed(stage, 'gvm')


def bad_environment(stage):
    """A wrong value is one line that names it."""
    rc, out = stage.run('vectorAdd', env=dict(stage.env, GVM_WAIT_MS='soon'))
    said = [x for x in out.split('\n') if 'GVM_WAIT_MS' in x]
    if len(said) != 1 or 'soon' not in said[0]:
        raise Failed('status %d:\n%s' % (rc, out))


# Runs in one guest: what the first process exports, others open; not altered, and not afterwards.
ONE_GUEST = '''
import subprocess, sys
program = sys.argv[1]
owner = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
mem, event = owner.stdout.readline().strip(), owner.stdout.readline().strip()
print(mem, event)
def attempt(name, *handles):
    out = subprocess.run([program] + list(handles), stdout=subprocess.PIPE, text=True).stdout
    print(name, out.replace('\\n', ' ').strip(), flush=True)
def altered(handle):
    return ['%s%02x%s' % (handle[:2 * i], int(handle[2 * i:2 * i + 2], 16) ^ 0x10, handle[2 * i + 2:])
            for i in (3, 5, 17, 24, 31)]
attempt('given', mem, event)
for m, e in zip(altered(mem), altered(event)):
    attempt('altered', m, e)
attempt('mixed', event, mem)
attempt('longer', mem[:80] + 'ff' * 4 + mem[88:], event)
sys.stdin.readline()
owner.kill()
owner.wait()
attempt('afterwards', mem, event)
'''


def shared_in_one_guest(stage):
    """Handles open in processes of one `gvm run`; neither in those of another, nor altered, nor when
    their process is gone. Nobody's attempts disturb anybody."""
    program = os.path.join(stage.programs, 'ipchandle')
    options = {'user': stage.user, 'group': stage.user, 'extra_groups': []} if os.getuid() == 0 else {}

    def guest(*command):
        return subprocess.Popen([os.path.join(stage.dir, 'gvm'), 'run', '--kind', 'ptx', '--'] +
                                list(command), cwd=stage.tmp, env=stage.env, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, start_new_session=True, **options)

    first = guest('/usr/bin/python3', '-c', ONE_GUEST, program)
    mem, event = first.stdout.readline().split()
    foreign, _ = guest(program, mem, event).communicate(timeout=LIMIT)
    expect(foreign.split('\n')[:2], ['memory 1 0', 'event 205'], 'in another guest', foreign)
    stop = threading.Timer(LIMIT, first.kill)
    stop.start()
    first.stdin.write('go on\n')
    first.stdin.close()
    out = first.stdout.read()  # not communicate(): it knows nothing of what readline() took
    first.wait()
    stop.cancel()
    expect([x for x in out.split('\n') if x],
           ['given memory 0 1234 event 0'] + ['altered memory 1 0 event 205'] * 5 +
           ['mixed memory 1 0 event 205', 'longer memory 1 0 event 0',
            'afterwards memory 1 0 event 205'], 'in one guest', out)


TESTS = [program(n) for n in PASSING] + [
    progress, threads, staticlink, own_static, no_ptx, later_device, oob_beside_another,
    system_calls, round_trips, allocations, worker_killed, gvm_killed,
    bad_environment, shared_in_one_guest] + diag.TESTS + park.TESTS + quota.TESTS + (
    share.TESTS + mps.TESTS + starts.TESTS + wild.TESTS)


def main(argv):
    if len(argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    build, names = argv[1], argv[2:]
    tests = [t for t in TESTS if not names or t.__name__ in names]
    if not tests:
        print('no such test; there are: ' + ' '.join(t.__name__ for t in TESTS), file=sys.stderr)
        return 2
    count = {'ok': 0, 'FAIL': 0, 'skip': 0}
    stage = Stage(build)
    try:
        for test in tests:
            start, verdict, text = time.monotonic(), 'ok', ''
            try:
                test(stage)
                gone(stage)
            except Skip as e:
                verdict, text = 'skip', ': %s' % e
            except (Failed, OSError) as e:
                verdict, text = 'FAIL', ': %s' % e
                for pid in stage.processes():
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            count[verdict] += 1
            print('%-4s %s (%.1f s)%s' % (verdict, test.__name__, time.monotonic() - start, text),
                  flush=True)
    finally:
        stage.close()
    print('%d passed, %d failed, %d skipped' % (count['ok'], count['FAIL'], count['skip']))
    return 1 if count['FAIL'] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
