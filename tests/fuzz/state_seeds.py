#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""state_seeds.py BUILD FOLDER - seeds for fuzz_state: states of programs that run on the software
device, without head and without what all workers have in common, not compressed."""
import ctypes
import ctypes.util
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

MAGIC = b'\x28\xb5\x2f\xfd'
IDENT = 8 + 4 * 6 + 8 * 5  # struct state_ident
MARK = b'mark'              # STATE_MARK: behind memory's layout, objects, contents
MOST = 1 << 19             # octets: of contents of memory there is no need for more


def plain(state):
    """What is in the zstd frame behind the head."""
    z = ctypes.CDLL(ctypes.util.find_library('zstd') or 'libzstd.so.1')
    z.ZSTD_decompress.restype = ctypes.c_size_t
    z.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    out = ctypes.create_string_buffer(64 << 20)
    at = state.index(MAGIC)
    n = z.ZSTD_decompress(out, len(out), state[at:], len(state) - at)
    return out.raw[:n]


def ask(path, line):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path + '.query')
        s.sendall(line.encode() + b'\n')
        return b''.join(iter(lambda: s.recv(65536), b'')).decode()


def state(build, path, tmp, word, args):
    p = subprocess.Popen([build + '/gvm', 'run', '--backd', path, '--', build + '/conformance/parked'] + args,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        for line in p.stdout:
            if line.startswith(word):
                break
        pid = re.search(r'^process .*?\bpid=(\d+)', ask(path, 'list'), re.M).group(1)
        file = os.path.join(tmp, 'state')
        answer = ask(path, 'park %s %s 5000' % (pid, file))
        if not answer.startswith('ok: '):
            raise SystemExit('state_seeds.py: ' + answer)
        with open(file, 'rb') as f:
            data = f.read()
        os.unlink(file)
        body = plain(data)[IDENT:]
        end = body.index(MARK, body.index(MARK) + 4) + 4
        return body if len(body) <= MOST else body[:end + 4096]
    finally:
        p.kill()
        p.communicate()
        while 'process ' in ask(path, 'list'):
            time.sleep(0.02)


def main(build, folder):
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, 's')
        d = subprocess.Popen([build + '/gvm-backd', '--local', path, '--kind', 'ptx', '--warm', '0',
                              '--log-level', 'error'])
        try:
            end = time.monotonic() + 20
            while not os.path.exists(path + '.query') and time.monotonic() < end:
                time.sleep(0.02)
            for name, word, args in (('everything', 'ready', []), ('hold', 'ready', ['hold', '1']),
                                     ('loop', 'progress 2', ['loop', '1000', '20'])):
                data = state(build, path, tmp, word, args)
                with open(os.path.join(folder, name), 'wb') as f:
                    f.write(data)
        finally:
            d.terminate()
            d.wait(20)


main(os.path.abspath(sys.argv[1]), sys.argv[2])
