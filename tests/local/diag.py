# SPDX-License-Identifier: MIT
"""Tests of what an operator looks with: gvm list, top, metrics, trace. Imported by run.py."""
import json
import os
import re
import signal
import socket
import subprocess
import time


class Daemon:
    """A local gvm-backd of the stage's own, with one warm worker; used with `with`."""

    def __init__(self, stage):
        self.stage = stage
        self.path = os.path.join(stage.tmp, '.backd')
        self.options = {}
        if os.getuid() == 0:
            self.options = {'user': stage.user, 'group': stage.user, 'extra_groups': []}

    def __enter__(self):
        self.p = subprocess.Popen(
            [os.path.join(self.stage.dir, 'gvm-backd'), '--local', self.path, '--kind', 'ptx',
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
                 q['calls'] >= 4 and v['calls'] == q['calls'], out)
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
                 t['per_second']['calls'] > 0 and t['per_second']['launches'] == 0, out)
        finally:
            stop(p)
        end = time.monotonic() + 20
        while True:
            v = json.loads(d.gvm('list', '--json')[1])['vgpus'][0]
            if not v['processes'] or time.monotonic() > end:
                break
        need(stage, 'after the end', not v['processes'] and v['mem_used'] == 0 and
             v['launches'] == 1 and v['calls'] >= t['calls'], str(v))


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
        need(stage, 'list', ask(b'list\n').startswith(b'backd mode=local '))
        if os.getuid() == 0:
            rc, out, err = d.gvm('list', user=65533, group=65533)
            need(stage, 'another user', rc == 1 and not out and 'ermission denied' in err, out + err)
        rc, out, err = d.gvm('top', '--interval', '0')
        need(stage, 'interval', rc == 2 and '0.1..3600' in err, err)
    rc, out, err = d.gvm('top', '--once')
    need(stage, 'no daemon', rc == 1 and 'does not answer' in err, err)


TESTS = [list_and_top, bad_requests]
