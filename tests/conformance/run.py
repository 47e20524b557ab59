#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py [OPTIONS] [NAME...] - transcript programs (transcript.h), compared with native runs.

Without --gpu: every program through `gvm run` on the software device, compared with the committed
native transcript in tests/conformance/native/. With --gpu, on a machine with an NVIDIA GPU: every
program natively (the toolkit's libcudart, the driver's libcuda) and through `gvm run --kind cuda`,
in one run, compared line by line. Needs what was built (--build DIR), not make or a compiler; other
libraries that the programs need are found through LD_LIBRARY_PATH. NAME is FAMILY_NAME or a pattern
such as 'memory_*'.

Lines `NAME ~ VALUE` are compared without their value; `NAME @ VALUE` likewise, unless both ran on the
same GPU. Lines of GVM's own (`gvm...: `) are not compared. differences.txt lists what else may
differ. Ends with `N passed, N failed[, N skipped]`.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import sys
import time

from transcripts import Runner, merge_results, source_digest, sources


class Programs(Runner):
    def one(self, item):
        name, source = item
        start = time.monotonic()
        if not os.access(self.program(name), os.X_OK):
            verdict, text = 'skip', 'not built'
        elif self.args.gpu:
            verdict, text = self.on_gpu(name, source)
        else:
            verdict, text = self.on_software(name, source)
        return name, verdict, text, time.monotonic() - start

    def all(self, chosen):
        if self.args.gpu:
            self.header = self.device_header()
        rows = []
        with open(os.path.join(self.out, 'summary.txt'), 'w', encoding='utf-8') as summary:

            def say(line):
                print(line, flush=True)
                summary.write(line + '\n')
                summary.flush()

            if self.header:
                say('# %(device)s, driver %(driver)s' % self.header)
            with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
                for name, verdict, text, took in pool.map(self.one, chosen.items()):
                    rows.append((name, verdict))
                    one_line = ': ' + text if text and '\n' not in text else ''
                    say('%-4s %s (%.1f s)%s' % (verdict, name, took, one_line))
                    if text and not one_line:
                        say('\n'.join('     ' + x for x in text.split('\n')))
            for number in self.differences.unused(self.kind, [r[0] for r in rows if r[1] == 'ok']):
                say('note: differences.txt:%d was not needed' % number)
            self.results(rows)
            count = {v: sum(r[1] == v for r in rows) for v in ('ok', 'FAIL', 'skip', 'unstable')}
            unstable = [r[0] for r in rows if r[1] == 'unstable']
            if unstable:
                say('two native runs differ, so these say nothing: ' + ' '.join(unstable))
            say('%d passed, %d failed%s' % (
                count['ok'], count['FAIL'] + count['unstable'],
                ', %d skipped' % count['skip'] if count['skip'] else ''))
        return 1 if count['FAIL'] + count['unstable'] else 0

    def results(self, rows):
        """What docs/coverage.md is made from: the verdict of each program, with its version."""
        where = {'cuda': 'gpu', 'ptx': 'software'}[self.kind]
        src = sources()
        data = {where: {n: {'verdict': v, 'source': source_digest(src[n])} for n, v in rows}}
        if self.header:
            data['header'] = self.header
        with open(os.path.join(self.out, 'results.json'), 'w', encoding='utf-8') as f:
            json.dump(data, f, indent=1, sort_keys=True)
        if self.args.record and not self.args.native_only:
            merge_results(data)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build', help='folder of what was built (default: build)')
    p.add_argument('--gpu', action='store_true', help='native against GVM on this machine\'s GPU')
    p.add_argument('--native-only', action='store_true', help='with --gpu: no run through GVM')
    p.add_argument('--record', action='store_true',
                   help='with --gpu: write native/NAME.txt; always: update results.json')
    p.add_argument('--out', help='folder for outputs (default: BUILD/conformance/out)')
    p.add_argument('--jobs', type=int, help='programs at a time (default: 2, with --gpu 3)')
    p.add_argument('--list', action='store_true', help='print the names of the programs')
    p.add_argument('names', nargs='*', metavar='NAME')
    args = p.parse_args()
    args.jobs = args.jobs or (3 if args.gpu else 2)
    known = sources()
    chosen = {n: s for n, s in known.items()
              if not args.names or any(fnmatch.fnmatch(n, x) for x in args.names)}
    for x in args.names:
        if not fnmatch.filter(known, x):
            print('run.py: no program matches %s; --list names them' % x, file=sys.stderr)
            return 2
    if args.list:
        print('\n'.join(chosen))
        return 0
    return Programs(args).all(chosen)


if __name__ == '__main__':
    sys.exit(main())
