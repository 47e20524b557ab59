# SPDX-License-Identifier: MIT
"""Tests of what an operator looks with: gvm list, top, metrics, trace. Imported by run.py."""
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time


class Daemon:
    """A local gvm-backd of the stage's own, with one warm worker; used with `with`."""

    def __init__(self, stage, kind='ptx'):
        self.stage, self.kind = stage, kind
        self.path = os.path.join(stage.tmp, '.backd')
        self.options = {}
        if os.getuid() == 0:
            self.options = {'user': stage.user, 'group': stage.user, 'extra_groups': []}

    def __enter__(self):
        self.p = subprocess.Popen(
            [os.path.join(self.stage.dir, 'gvm-backd'), '--local', self.path, '--kind', self.kind,
             '--log-level', 'warning'], cwd=self.stage.tmp, env=self.stage.env,
            stderr=subprocess.PIPE, text=True, start_new_session=True, **self.options)
        end = time.monotonic() + 20
        while not os.path.exists(self.path + '.query'):
            if time.monotonic() > end or self.p.poll() is not None:
                raise self.stage.Failed('gvm-backd does not serve %s' % self.path)
            time.sleep(0.02)
        return self

    def __exit__(self, *what):
        self.p.terminate()
        self.said = self.p.communicate(timeout=20)[1]
        if os.path.exists(self.path + '.query') and not any(what):
            raise self.stage.Failed('%s.query was left behind' % self.path)

    def gvm(self, *args, **options):
        """(exit status, stdout, stderr) of gvm ARGS --backd."""
        options = dict(self.options, **options)
        p = subprocess.run([os.path.join(self.stage.dir, 'gvm'), args[0], '--backd', self.path] +
                           list(args[1:]), env=self.stage.env, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, timeout=60, **options)
        return p.returncode, p.stdout, p.stderr

    def start(self, program, *args):
        return self.stage.start(program, run=['--backd', self.path], args=args)


def started(stage, p):
    """Waits until the program says so; its pid as gvm-backd knows it."""
    said = p.stdout.readline()
    while said and 'started' not in said:
        said = p.stdout.readline()
    if not said:
        raise stage.Failed('the program ended before it had started')


def stop(p):
    os.killpg(p.pid, signal.SIGKILL)
    p.communicate()


def need(stage, what, condition, text=''):
    if not condition:
        raise stage.Failed('%s\n%s' % (what, text))


def list_and_top(stage):
    """A running program is in gvm list and gvm top, with what it does; text, JSON and totals."""
    with Daemon(stage) as d:
        p = d.start('eventspin')
        try:
            started(stage, p)
            rc, out, err = d.gvm('list', '--json')
            need(stage, 'gvm list --json', rc == 0, err)
            v = json.loads(out)['vgpus'][0]
            q = v['processes'][0]
            need(stage, 'list', q['launches'] == 1 and q['mem_used'] >= 4 and q['bytes_in'] == 4 and
                 4 <= v['calls'] <= q['calls'], out)  # the sum is read first, and it goes on
            with open('/proc/%d/cmdline' % q['worker']) as f:  # unasked, it polls as long as it likes
                need(stage, 'polling', '--spin-us' not in f.read().split('\0'))
            rc, out, err = d.gvm('list', 'processes')
            need(stage, 'gvm list processes', rc == 0 and re.search(
                r'^ +pid %d +uid %d ' % (q['pid'], stage.user), out, re.M), out + err)
            rc, out, err = d.gvm('top', '--count', '2', '--interval', '0.2')
            lines = out.split('\n')
            need(stage, 'gvm top', rc == 0 and '\033' not in out and
                 out.count('gvm top  ') == 2 and len([x for x in lines if re.match(
                     r' +pid %d +uid %d +worker %d ' % (q['pid'], stage.user, q['worker']), x)]) == 2,
                 out + err)
            rc, out, err = d.gvm('top', '--once', '--json', '--interval', '0.2')
            t = json.loads(out)['vgpus'][0]['processes'][0]
            need(stage, 'gvm top --json', t['calls'] > q['calls'] and
                 t['per_second']['calls'] > 0 and t['per_second']['launches'] == 0 and
                 t['gpu_percent'] > 50, out)  # the kernel does not end
        finally:
            stop(p)
        end = time.monotonic() + 20
        while True:
            v = json.loads(d.gvm('list', '--json')[1])['vgpus'][0]
            if not v['processes'] or time.monotonic() > end:
                break
        need(stage, 'after the end', not v['processes'] and v['mem_used'] == 0 and
             v['launches'] == 1 and v['calls'] >= t['calls'], str(v))


def top_on_terminal(stage):
    """On a terminal gvm top fills the screen again and again, until q, and leaves it as it was."""
    with Daemon(stage) as d:
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        p = subprocess.Popen([os.path.join(stage.dir, 'gvm'), 'top', '--backd', d.path, '--interval', '0.1'],
                             env=stage.env, stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True, **d.options)
        text, end = b'', time.monotonic() + 20
        while text.count(b'\033[H\033[J') < 3 and time.monotonic() < end:
            if select.select([master], [], [], 1)[0]:
                text += os.read(master, 65536)
        os.write(master, b'q')
        while p.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                text += os.read(master, 65536)
        if p.poll() is None:
            p.kill()
        need(stage, 'q', p.wait() == 0 and text.count(b'local ') >= 3, text.decode(errors='replace'))
        need(stage, 'terminal', termios.tcgetattr(slave) == before)
        os.close(master)
        os.close(slave)


def bad_requests(stage):
    """A request that there is not is told; a line without end, or another user, gets nothing."""
    with Daemon(stage) as d:
        def ask(data):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(20)
                s.connect(d.path + '.query')
                s.sendall(data)
                out = b''
                while True:
                    try:
                        more = s.recv(65536)
                    except ConnectionResetError:
                        return out
                    if not more:
                        return out
                    out += more
        need(stage, 'unknown', ask(b'destroy\n').startswith(b'error: unknown request'))
        need(stage, 'endless', ask(b'x' * 4000) == b'')
        need(stage, 'list', re.match(rb'backd version=\S+ mode=local ', ask(b'list\n')))
        if os.getuid() == 0:
            rc, out, err = d.gvm('list', user=65533, group=65533)
            need(stage, 'another user', rc == 1 and not out and 'ermission denied' in err, out + err)
        rc, out, err = d.gvm('top', '--interval', '0')
        need(stage, 'interval', rc == 2 and '0.1..3600' in err, err)
    rc, out, err = d.gvm('top', '--once')
    need(stage, 'no daemon', rc == 1 and 'does not answer' in err, err)


def traced(stage, d, *args):
    """A gvm trace that has begun: gvm-backd has its request when it answers another one."""
    p = subprocess.Popen([os.path.join(stage.dir, 'gvm'), 'trace', '--backd', d.path] + list(args),
                         env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         start_new_session=True, **d.options)
    fds = '/proc/%d/fd' % p.pid
    end = time.monotonic() + 20
    while time.monotonic() < end and not any(
            os.readlink(os.path.join(fds, x)).startswith('socket:') for x in os.listdir(fds)):
        time.sleep(0.01)
    d.gvm('list')
    return p


def trace(stage):
    """gvm trace shows the calls of a program from its first one to its last."""
    with Daemon(stage) as d:
        t = traced(stage, d)
        out = stage.finish(d.start('vectorAdd'), 'vectorAdd')[1]
        need(stage, 'vectorAdd', 'PASSED' in out, out)
        p = d.start('eventspin')
        try:
            started(stage, p)
            pid = json.loads(d.gvm('list', '--json')[1])['vgpus'][0]['processes'][0]['pid']
            # A second one gets nothing of what the first one has, nor a process that there is not.
            rc, out, err = d.gvm('trace', str(pid))
            need(stage, 'second', rc == 0 and not out and 'another gvm trace has' in err, err)
            rc, out, err = d.gvm('trace', '999999999')
            need(stage, 'no such', rc == 1 and 'no guest process has pid=999999999' in err, err)
            t.send_signal(signal.SIGTERM)
            text = t.communicate(timeout=20)[0]
            need(stage, 'exit status', t.returncode == 0, text)
            calls = [x for x in text.split('\n') if ' = 0 ' in x]
            need(stage, 'calls', re.match(r'\d\d:\d\d:\d\d\.\d{6} d0\.0/\d+ #1 lane 0 LaneOpen = 0 '
                                          r'<\d+\.\d us>$', calls[0]), text)
            for call in (r'MemAlloc \(reply\) bytes=200000 = 0 dptr=0x\w+ ',
                         r'Launch\w* (?:\(reply\) )?module=16 .* grid=196,1,1 block=256,1,1 .*params=\[28\]'):
                need(stage, call, any(re.search(call, x) for x in calls), text)
            need(stage, 'tickets', [int(re.search('#(\\d+)', x).group(1)) for x in calls
                                    if '/%d ' % pid not in x] ==
                 list(range(1, 1 + len([x for x in calls if '/%d ' % pid not in x]))), text)
            need(stage, 'the other', re.search(r'/%d #\d+ lane 0 EventQuery \(reply\) event=\d+ = 600 '
                                               % pid, text), text[-2000:])
            # Now that the first is gone; --count ends it.
            p2 = traced(stage, d, '--count', '3')
            rc, out = stage.finish(d.start('vectorAdd'), 'vectorAdd')
            text = p2.communicate(timeout=20)[0]
            need(stage, 'count', p2.returncode == 0 and text.count(' us>') == 3, text)
        finally:
            stop(p)


def metrics(stage):
    """Every line is of Prometheus' form, every sample has a type, and the numbers are the list's."""
    with Daemon(stage) as d:
        p = d.start('eventspin')
        try:
            started(stage, p)
            path = os.path.join(stage.tmp, '.metrics')
            rc, out, err = d.gvm('metrics', '--processes', '--output', path)
            need(stage, 'exit status', rc == 0 and not out and not err, out + err)
            text = open(path).read()
            need(stage, 'mode', os.stat(path).st_mode & 0o777 == 0o644)
            types, values = {}, {}
            for x in text.strip().split('\n'):
                m = re.match(r'# (HELP|TYPE) (\w+) (.+)$', x)
                if m:
                    if m.group(1) == 'TYPE':
                        need(stage, x, m.group(2) not in types)
                        types[m.group(2)] = m.group(3)
                    continue
                m = re.match(r'(\w+)(\{(?:\w+="[^"\\]*",?)+\})? (\d+(?:\.\d+)?)$', x)
                need(stage, x, m and m.group(1) in types)
                need(stage, x, (types[m.group(1)] == 'counter') == m.group(1).endswith('_total'))
                need(stage, 'twice: ' + x, m.group(1, 2) not in values)
                values[m.group(1, 2)] = float(m.group(3))
            def one(name):
                found = [v for k, v in values.items() if k[0] == name]
                need(stage, name, len(found) == 1, text)
                return found[0]
            q = json.loads(d.gvm('list', '--json')[1])['vgpus'][0]
            need(stage, 'values', one('gvm_up') == 1 and one('gvm_vgpu_processes') == 1 and
                 one('gvm_process_launches_total') == one('gvm_vgpu_launches_total') == 1 and
                 0 < one('gvm_vgpu_calls_total') <= q['calls'] and
                 one('gvm_process_memory_used_bytes') == q['mem_used'], text)
        finally:
            stop(p)
    rc, out, err = d.gvm('metrics')
    need(stage, 'no daemon', rc == 1 and 'gvm_up 0' in out and 'does not answer' in err, out + err)
    rc, out, err = d.gvm('metrics', '--output', '/nowhere/metrics')
    need(stage, 'no folder', rc == 1 and '/nowhere/metrics: No such file' in err, err)


# Prints what NVML says, as key = value; a child forked after the count can use CUDA.
NVML = '''
import ctypes, os
from ctypes import byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p, create_string_buffer
n, cu = ctypes.CDLL('libnvidia-ml.so.1'), ctypes.CDLL('libcudart.so.13')
count, dev, text, u = c_uint(), c_void_p(), create_string_buffer(96), (c_uint * 2)()
print('before =', n.nvmlDeviceGetCount_v2(byref(count)), n.nvmlShutdown())
print('init =', n.nvmlInit_v2())
print('count =', n.nvmlDeviceGetCount_v2(byref(count)), count.value)
if os.fork() == 0:
    os._exit(cu.cudaFree(None))
print('child =', os.waitpid(-1, 0)[1])
print('handle =', n.nvmlDeviceGetHandleByIndex_v2(0, byref(dev)), n.nvmlDeviceGetHandleByIndex_v2(1, byref(dev)))
print('name =', n.nvmlDeviceGetName(dev, text, 96), text.value.decode())
print('short =', n.nvmlDeviceGetName(dev, text, 3), n.nvmlDeviceGetName(None, text, 96))
print('uuid =', n.nvmlDeviceGetUUID(dev, text, 96), text.value.decode())
print('by uuid =', n.nvmlDeviceGetHandleByUUID(text, byref(dev)),
      n.nvmlDeviceGetHandleByUUID(c_char_p(b'GPU-0'), byref(dev)))
pci = create_string_buffer(68)
print('pci =', n.nvmlDeviceGetPciInfo_v3(dev, pci), pci.raw[:16].split(b'\\0')[0].decode(),
      pci.raw[36:68].split(b'\\0')[0].decode())
def memory():
    m = (c_ulonglong * 3)()
    return n.nvmlDeviceGetMemoryInfo(dev, m), [x >> 20 for x in m]
ptr = c_void_p()
print('memory =', *memory())
print('malloc =', cu.cudaMalloc(byref(ptr), 64 << 20))
print('memory after =', *memory())
m2 = (c_ulonglong * 5)()
print('version =', n.nvmlDeviceGetMemoryInfo_v2(dev, m2))
m2[0] = 40 | 2 << 24
print('memory 2 =', n.nvmlDeviceGetMemoryInfo_v2(dev, m2), [x >> 20 for x in m2[1:]])
procs, room = (c_ulonglong * 6)(), c_uint(0)
print('processes =', n.nvmlDeviceGetComputeRunningProcesses_v3(dev, byref(room), None), room.value)
room = c_uint(2)
print('processes =', n.nvmlDeviceGetComputeRunningProcesses_v3(dev, byref(room), procs), room.value,
      procs[0] == os.getpid(), procs[1] >> 20)
print('use =', n.nvmlDeviceGetUtilizationRates(dev, u), u[0], u[1])
print('temperature =', n.nvmlDeviceGetTemperature(dev, 0, byref(count)))
print('reset =', n.nvmlDeviceSetComputeMode(dev, 1))
n.nvmlErrorString.restype = c_char_p
print('error =', n.nvmlErrorString(3).decode())
print('end =', n.nvmlShutdown(), n.nvmlShutdown())
'''


def nvml(stage):
    """libnvidia-ml.so.1 shows the device, its quota and what is used of it; what it has not is refused;
    a device that is not there is told, not waited for."""
    python = ['-c', NVML]
    p = stage.start('/usr/bin/python3', run=['--kind', 'ptx', '--mem', '256M'], args=python)
    rc, out = stage.finish(p, 'python3')
    got = [tuple(x.split(' = ', 1)) for x in out.strip().split('\n')]
    uuid = dict(got).get('uuid', '')
    need(stage, 'uuid', rc == 0 and re.match(r'0 GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', uuid), out)
    want = [('before', '1 1'), ('init', '0'), ('count', '0 1'), ('child', '0'), ('handle', '0 2'),
            ('name', '0 GVM software device'), ('short', '7 2'), ('uuid', uuid), ('by uuid', '0 6'),
            ('pci', '0 0000:00:00.0 00000000:00:00.0'), ('memory', '0 [256, 256, 0]'), ('malloc', '0'),
            ('memory after', '0 [256, 192, 64]'), ('version', '25'), ('memory 2', '0 [256, 0, 192, 64]'),
            ('processes', '7 1'), ('processes', '0 1 True 64'), ('use', '0 0 0'), ('temperature', '3'),
            ('reset', '3'), ('error', 'Not Supported'), ('end', '0 1')]
    need(stage, 'answers', got == want, '\n'.join(
        '%s: %s, wanted %s' % (a[0], a[1], b[1]) for a, b in zip(got, want) if a != b) or out)
    if not os.path.exists('/dev/vgpu0'):
        p = subprocess.run(['/usr/bin/python3', '-c', "import ctypes; print(ctypes.CDLL('%s').nvmlInit_v2())" %
                            os.path.join(stage.dir, 'lib', 'libnvidia-ml.so.1')], env=stage.env,
                           stdout=subprocess.PIPE, text=True, timeout=60)
        need(stage, 'no device', p.stdout == '9\n', p.stdout)


def log_lines(stage):
    """A line about a guest process says which one it is, in gvm-backd's words."""
    with Daemon(stage) as d:
        rc, out = stage.finish(d.start('oob'), 'oob')
        need(stage, 'oob', 'error 700 as expected' in out, out)
    need(stage, 'line', re.search(r'^gvm-backd\[\d+\]: warning: pid (\d+) channel 1 \(guest pid \1, '
                                  r'worker \d+\): CUDA error 700: ', d.said, re.M), d.said)


TESTS = [list_and_top, top_on_terminal, log_lines, nvml, metrics, bad_requests, trace]
