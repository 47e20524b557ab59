# SPDX-License-Identifier: MIT
"""Tests of the MPS mode, with a socket in the place of NVIDIA's control daemon and the software device,
which is no client of it: what the broker says, what workers are told, that guests overlap. Imported by
run.py."""
import os
import re
import socket
import subprocess

import quota
import share

LIMIT = 20


def control(stage):
    """A directory in which somebody listens."""
    path = os.path.join(stage.tmp, '.mps')
    os.mkdir(path)
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(path, 'control'))
    s.listen(64)
    os.chmod(os.path.join(path, 'control'), 0o777)
    return path, s


def remove(path, s):
    s.close()
    if os.path.exists(os.path.join(path, 'control')):
        os.unlink(os.path.join(path, 'control'))
    os.rmdir(path)


def refused_without_daemon(stage):
    """One line that says what to start, and no daemon that would quietly do without."""
    for path, said in (('/nowhere', 'no MPS control daemon listens at /nowhere/control'),
                       ('nowhere', 'the MPS directory nowhere: allowed is an absolute path')):
        p = subprocess.run([os.path.join(stage.dir, 'gvm-backd'), '--local',
                            os.path.join(stage.tmp, '.backd'), '--kind', 'ptx', '--mps', path],
                           stderr=subprocess.PIPE, text=True, timeout=LIMIT, env=stage.env)
        stage.expect(p.returncode, 1, 'exit status', p.stderr)
        stage.expect(p.stderr.count('\n'), 1, 'lines', p.stderr)
        if said not in p.stderr:
            raise stage.Failed(p.stderr)
    for name in ('.backd', '.backd.query'):
        path = os.path.join(stage.tmp, name)
        if os.path.exists(path):
            os.unlink(path)


def ask(stage, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(LIMIT)
        s.connect(os.path.join(stage.tmp, '.backd.query'))
        s.sendall(line.encode() + b'\n')
        return b''.join(iter(lambda: s.recv(65536), b'')).decode()


def together(stage):
    """Guests do not wait for each other, a kernel without end included, which the watchdog ends all the
    same; nobody is suspended; once the control daemon is gone no worker is started, and that is said."""
    path, listener = control(stage)
    try:
        with share.guests(stage, ['', ''], ['--mps', path, '--max-kernel', '2']) as g:
            a, b = share.ready(g, 0), share.ready(g, 1)
            workers = dict(re.findall(r'^process .*?\bpid=(\d+) .*?\bworker=(\d+)', ask(stage, 'list'),
                                      re.M))
            for pid, worker in workers.items():
                said = ask(stage, 'park %s %s' % (pid, os.path.join(stage.tmp, 'state')))
                if not said.startswith('error') or 'mps_pipe_directory is set' not in said:
                    raise stage.Failed('park: ' + said)
                if os.getuid() == 0: # nobody else may look
                    with open('/proc/%s/environ' % worker) as f:
                        stage.expect('CUDA_MPS_PIPE_DIRECTORY=' + path in f.read().split('\0'), True,
                                     'environment of worker ' + worker)
            stage.expect(len(workers), 2, 'workers')
            share.tell(a, 'endless')
            done = 0
            while not share.select_now(a):
                done += int(b.ask('load 20 0.2'))
            share.need(stage, 'the other', done > 0)
            stage.expect(share.hear(a), '702', 'the kernel without end')
            remove(path, listener)
            stage.expect(int(b.ask('load 20 0.1')) > 0, True, 'who has a worker')
            said = g.process(0, 'share').p.stdout.readline()
            if 'ready' in said:
                raise stage.Failed('a worker without its control daemon: ' + said)
            os.mkdir(path)
        share.need(stage, 'the line', 'no MPS control daemon listens' in g.said, g.said)
    finally:
        remove(path, listener)


TESTS = [refused_without_daemon, together]
