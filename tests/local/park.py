# SPDX-License-Identifier: MIT
"""Tests of parked workers: saved to a file, killed, and another one goes on. Imported by run.py."""
import ctypes
import ctypes.util
import os
import random
import re
import socket
import subprocess
import time

import diag

LIMIT = 60


class Parked:
    """A program of a daemon, and what is said to that about it."""

    def __init__(self, stage, daemon, *args):
        self.stage, self.daemon = stage, daemon
        self.file = os.path.join(stage.tmp, 'state')
        self.p = subprocess.Popen(
            [os.path.join(stage.dir, 'gvm'), 'run', '--backd', daemon.path, '--',
             os.path.join(stage.programs, 'parked')] + [str(a) for a in args],
            cwd=stage.tmp, env=stage.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True, **daemon.options)

    def until(self, word):
        """The program's lines up to one that starts with the word."""
        lines = []
        for line in self.p.stdout:
            lines.append(line.strip())
            if line.startswith(word):
                return lines
        raise self.stage.Failed('no "%s", but: %s' % (word, lines))

    def ask(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT)
            s.connect(self.daemon.path + '.query')
            s.sendall(line.encode() + b'\n')
            return b''.join(iter(lambda: s.recv(65536), b'')).decode()

    def worker(self):
        """(program's pid, worker's pid) as gvm list has them; worker 0: none."""
        text = self.ask('list')
        found = re.findall(r'^process .*?\bpid=(\d+) .*?\bworker=(\d+)', text, re.M)
        self.stage.expect(len(found), 1, 'processes', text)
        return found[0]

    def park(self):
        self.pid, self.old = self.worker()
        return self.ask('park %s %s 5000' % (self.pid, self.file))

    def resume(self):
        return self.ask('resume %s %s' % (self.pid, self.file))

    def gone(self):
        """Waits until the old worker has ended."""
        end = time.monotonic() + LIMIT
        while self.worker()[1] != '0':
            if time.monotonic() > end:
                raise self.stage.Failed('the worker has not ended')
            time.sleep(0.01)

    def finish(self, *last):
        out, _ = self.p.communicate(timeout=LIMIT)
        lines = out.split('\n')
        self.stage.expect((self.p.returncode, tuple(lines[-1 - len(last):-1])), (0, last),
                          'end of the program', out)
        return lines


def starts(stage, text, begin):
    if not text.startswith(begin):
        raise stage.Failed('"%s" and not "%s..."' % (text.strip(), begin))


def parked_everything(stage):
    """All kinds of objects come back in another worker, twice, and a state is good for one of them."""
    with diag.Daemon(stage) as daemon:
        p = Parked(stage, daemon)
        p.until('ready')
        for _ in range(2):
            starts(stage, p.park(), 'ok: pid %s parked, ' % p.pid)
            p.gone()
            with open(p.file, 'rb') as f:
                copy = f.read()
            starts(stage, p.resume(), 'ok: pid %s resumed' % p.pid)
            stage.expect(os.path.exists(p.file), False, 'the file is there')
            if p.worker()[1] in ('0', p.old):
                raise stage.Failed('no new worker')
        with open(p.file, 'wb') as f:
            f.write(copy)
        starts(stage, p.resume(), 'error: pid %s: not parked' % p.pid)
        os.unlink(p.file)
        p.p.stdin.write('go\n')
        p.p.stdin.flush()
        p.finish('text 2', 'PASS 0')


def parked_loop(stage):
    """A program in the middle of its launches does not notice."""
    with diag.Daemon(stage) as daemon:
        p = Parked(stage, daemon, 'loop', 60, 10)
        p.until('progress 5')
        starts(stage, p.park(), 'ok: ')
        p.gone()
        starts(stage, p.resume(), 'ok: ')
        stage.expect([x for x in p.finish('progress 59', 'PASS 60') if 'FAIL' in x], [], 'failures')


def parked_held(stage):
    """As on a GPU, the state stays in the worker, which stands still; what it comes back to is kept from
    others meanwhile, and gvm list says so."""
    def reserved(p):
        return int(re.search(r'^device .*?\breserved=(\d+)', p.ask('list'), re.M).group(1))
    with diag.Daemon(stage, 'ptx-held') as daemon:
        p = Parked(stage, daemon, 'hold', 64)
        p.until('ready')
        pid, worker = p.worker()
        for _ in range(2):
            starts(stage, p.ask('resume %s -' % pid), 'error: pid %s: not parked' % pid)
            starts(stage, p.ask('park %s - 3000' % pid), 'ok: pid %s parked' % pid)
            if reserved(p) < (64 + 16) << 20:
                raise stage.Failed('only %d octets are reserved' % reserved(p))
            starts(stage, p.ask('park %s - 3000' % pid), 'error: pid %s: ' % pid)
            starts(stage, p.ask('resume %s -' % pid), 'ok: pid %s resumed' % pid)
            stage.expect((reserved(p), p.worker()), (0, (pid, worker)), 'after the resume')
        starts(stage, p.ask('park %s %s' % (pid, p.file)),
               "error: pid %s: a GPU's state cannot be written to a file" % pid)
        p.p.stdin.write('go\n')
        p.p.stdin.flush()
        p.finish('PASS 64')
        for args, why in ((('ipc', 1500), 'memory or events are shared with other processes'),
                          (('callback', 1500), 'a function of the program')):
            p = Parked(stage, daemon, *args)
            p.until('progress')
            for pid, _ in re.findall(r'^process .*?\bpid=(\d+) .*?\bworker=(\d+)', p.ask('list'), re.M):
                answer = p.ask('park %s - 300' % pid)
                starts(stage, answer, 'error: pid %s: %s' % (pid, why))
            p.finish({'ipc': 'PASS 11', 'callback': 'PASS 1'}[args[0]])
        # Killed while it is parked: the program is told, and nothing stays reserved.
        p = Parked(stage, daemon, 'hold', 1)
        p.until('ready')
        pid, worker = p.worker()
        starts(stage, p.ask('park %s - 3000' % pid), 'ok: ')
        os.kill(int(worker), 9)
        p.p.stdin.write('go\n')
        p.p.stdin.flush()
        out, _ = p.p.communicate(timeout=LIMIT)
        if p.p.returncode == 0 or 'FAIL' not in out:
            raise stage.Failed('the program did not notice:\n' + out)
        starts(stage, p.ask('resume %s -' % pid), 'error: pid %s: ' % pid)
        stage.expect(reserved(p), 0, 'reserved for a dead worker')


def parked_refused(stage):
    """What cannot be saved goes on: one line says why, and no file is left."""
    for args, why in ((('ipc', 1500), 'memory is shared with other processes'),
                      (('callback', 1500), 'a function of the program'),
                      (('long', 1500), 'kernels or copies have not ended')):
        with diag.Daemon(stage) as daemon:
            p = Parked(stage, daemon, *args)
            p.until('progress')
            answer = ''
            for pid, _ in re.findall(r'^process .*?\bpid=(\d+) .*?\bworker=(\d+)', p.ask('list'), re.M):
                answer = p.ask('park %s %s 300' % (pid, p.file))
                starts(stage, answer, 'error: pid %s: %s' % (pid, why))
            stage.expect(os.path.exists(p.file), False, 'a file was left')
            p.finish({'ipc': 'PASS 11', 'callback': 'PASS 1', 'long': 'PASS 77'}[args[0]])


def parked_without_gpu(stage):
    """Off the GPU: there is none, and the program goes on."""
    with diag.Daemon(stage) as daemon:
        p = Parked(stage, daemon, 'loop', 20, 10)
        p.until('progress 3')
        pid, _ = p.worker()
        starts(stage, p.ask('park %s - 1000' % pid), 'error: pid %s: this kind of device has no' % pid)
        starts(stage, p.ask('resume %s -' % pid), 'error: pid %s: not parked' % pid)
        p.finish('progress 19', 'PASS 20')


def parked_damaged(stage):
    """A state that was changed is refused with one line; the right one is still good afterwards."""
    with diag.Daemon(stage) as daemon:
        p = Parked(stage, daemon, 'loop', 40, 10)
        p.until('progress 3')
        starts(stage, p.park(), 'ok: ')
        p.gone()
        with open(p.file, 'rb') as f:
            good = f.read()
        middle = len(good) // 2
        for bad in (b'', good[:300], good[:middle], good[:-5], b'x' + good[1:],
                    good[:middle] + bytes([good[middle] ^ 0x40]) + good[middle + 1:]):
            with open(p.file, 'wb') as f:
                f.write(bad)
            starts(stage, p.resume(), 'error: pid %s: ' % p.pid)
            p.gone()
        with open(p.file, 'wb') as f:
            f.write(good)
        starts(stage, p.resume(), 'ok: ')
        p.finish('progress 39', 'PASS 40')


class Zstd:
    """The body of a state, and a state with another one, checksum and all."""

    HEAD = 420  # at most; the frame is found by its magic number
    MAGIC = b'\x28\xb5\x2f\xfd'

    def __init__(self):
        self.z = ctypes.CDLL(ctypes.util.find_library('zstd') or 'libzstd.so.1')
        self.z.ZSTD_compressBound.restype = self.z.ZSTD_compress.restype = ctypes.c_size_t
        self.z.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
        self.z.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                         ctypes.c_size_t, ctypes.c_int]
        self.z.ZSTD_decompress.restype = ctypes.c_size_t
        self.z.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                           ctypes.c_size_t]

    def split(self, state):
        at = state.index(self.MAGIC)
        out = ctypes.create_string_buffer(64 << 20)
        n = self.z.ZSTD_decompress(out, len(out), state[at:], len(state) - at)
        return state[:at], out.raw[:n]

    def join(self, head, body):
        room = self.z.ZSTD_compressBound(len(body))
        out = ctypes.create_string_buffer(room)
        return head + out.raw[:self.z.ZSTD_compress(out, room, body, len(body), 1)]


def change(body, end, rng):
    """The body with a few words of its tables changed, cut out or put in; contents come at `end`."""
    body = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.choice((rng.randrange(1024), rng.randrange(min(end, 8192)),
                         end - rng.randrange(min(end, 6000)), rng.randrange(end))) & ~3
        what = rng.randrange(6)
        if what == 0:
            body[at:at + 4] = rng.getrandbits(32).to_bytes(4, 'little')
        elif what == 1:
            body[at:at + 4] = rng.choice((0, 1, 2, 15, 16, 17, 255, 65535, 65536, 0x7fffffff,
                                          0xffffffff)).to_bytes(4, 'little')
        elif what == 2:
            body[at] ^= 1 << rng.randrange(8)
        elif what == 3:
            body[at:at + 8] = rng.choice((0, 1 << 40, (1 << 64) - 1, 1 << 63)).to_bytes(8, 'little')
        elif what == 4:
            del body[at:at + 4 * rng.randrange(1, 8)]
        else:
            other = rng.randrange(min(end, 8192)) & ~3
            body[at:at] = body[other:other + 4 * rng.randrange(1, 8)]
    return bytes(body)


def parked_changed(stage):
    """What a guest could make of its state costs the worker that reads it its life at most, and that
    only in the way in which a worker ends. GVM_STATES: how many are tried."""
    tries = int(os.environ.get('GVM_STATES', '40'))
    seed = int(os.environ.get('GVM_SEED', str(int(time.time()))))
    rng, zstd, refused = random.Random(seed), Zstd(), 0
    with diag.Daemon(stage) as daemon:
        p = None
        for turn in range(tries):
            if not p:
                p = Parked(stage, daemon)
                p.until('ready')
                starts(stage, p.park(), 'ok: ')
                p.gone()
                with open(p.file, 'rb') as f:
                    head, body = zstd.split(f.read())
                end = body.index(b'mark', body.index(b'mark') + 4)
            with open(p.file, 'wb') as f:
                f.write(zstd.join(head, change(body, end, rng)))
            answer = p.resume()
            if answer.startswith('ok: '):  # changed, but possible
                os.killpg(p.p.pid, 9)
                p.p.wait()
                p = None
                if os.path.exists(os.path.join(stage.tmp, 'state')):
                    os.unlink(os.path.join(stage.tmp, 'state'))
                continue
            refused += 1
            starts(stage, answer, 'error: pid %s: ended with status 0' % p.pid)
            p.gone()
        if p:
            os.unlink(p.file)
            os.killpg(p.p.pid, 9)
            p.p.wait()
    if refused < tries // 4:
        raise stage.Failed('only %d of %d changed states were refused (seed %d)' % (refused, tries,
                                                                                 seed))


TESTS = [parked_changed, parked_everything, parked_loop, parked_held, parked_refused, parked_without_gpu,
         parked_damaged]
