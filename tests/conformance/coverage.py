#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""coverage.py BUILD [--check | RESULTS.json...] - docs/coverage.md: every exported function, and what shows that it works.

A function is supported if a library defines it (not as a refusal) and a transcript program says that
it covers it and does call it. Results are those of results.json, and on the software device those of
the run before (BUILD/conformance/out). Results of the last runs in BUILD, and those named (such as
what `run.py --gpu --out DIR` left in DIR/results.json), become part of results.json. --check writes
nothing and fails where the committed file is not what would be written. Ends with `N passed, N
failed`.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import transcripts  # noqa: E402

LIBRARIES = (('runtime', 'libcudart.so.13'), ('driver', 'libcuda.so.1'))
PLACES = (('gpu', 'GPU'), ('software', 'software'), ('xen', 'Xen guest'))
HEAD = """# Coverage of the CUDA API

Made by `make coverage`; do not edit. A function counts as supported if it is implemented and a
transcript program (`tests/conformance/`) is a test for it: one that fails when the function does not
do its work. The others answer 801 (`cudaErrorNotSupported`, `CUDA_ERROR_NOT_SUPPORTED`) and say so
once, or are implemented and not counted, because no program is a test for them.

`passed` says that all programs named for the function printed what they print natively: on the GPU
(%s), on the software device, in a Xen guest (software device). `differs`: at least one printed
something else. `-`: not run there with this version of the program. The software device has few
differences by its nature; `tests/conformance/differences.txt` lists them.
"""


def exports(library):
    path = os.path.join(ROOT, 'libcudart-shim', library, 'exports.txt')
    return [s for s in (line.split('#')[0].strip() for line in open(path)) if s]


def refused(build, library):
    path = os.path.join(build, 'obj', 'libcudart-shim', 'gen', library + '_refused.c')
    return set(re.findall(r'^REFUSE\((\w+)\)', open(path).read(), re.M))


def imports(program):
    out = subprocess.run(['nm', '-D', '--undefined-only', program], stdout=subprocess.PIPE, text=True,
                         stderr=subprocess.DEVNULL).stdout
    return set(re.findall(r' U (\w+)', out))


def looked_up(source):
    """Names in quotes: of functions that a program finds by name. Its own includes too."""
    text = open(source, encoding='utf-8').read()
    for name in re.findall(r'^#include "([\w./]+)"', text, re.M):
        for folder in (os.path.dirname(source), HERE):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                text += open(path, encoding='utf-8').read()
    return set(re.findall(r'"(\w+)"', text)) | set(re.findall(r'^\s*X\((\w+)', text, re.M))


def base(name):
    """The name in the manual: without version and stream suffixes."""
    return re.sub(r'(_v\d+)?(_ptsz|_ptds)?$', '', name)


def covered(build, known):
    """({function: [program]}, [what is wrong])"""
    found, wrong = {}, []
    for name, source in transcripts.sources().items():
        m = re.search(r'/\*\s*covers:(.*?)\*/', open(source, encoding='utf-8').read(), re.S)
        if not m:
            wrong.append('%s: no `covers:` line' % source)
            continue
        program = os.path.join(build, 'conformance', 't', name)
        calls = (imports(program) if os.path.exists(program) else set()) | looked_up(source)
        for function in m.group(1).replace('*', ' ').split():
            if function == 'cudaLaunchKernel' and source.endswith('.cu') and function not in calls:
                function = '__cudaLaunchKernel'  # what <<<>>> becomes
            # headers turn the manual's name into the present version's
            called = [function] if function in calls else [c for c in calls if c in known and
                                                           base(c) == function]
            if not called:
                wrong.append('%s covers %s, but does not call it' % (name, function))
            elif not any(c in known for c in called):
                wrong.append('%s covers %s, which no library exports' % (name, function))
            for c in called:
                found.setdefault(c, []).append(name)
    return found, wrong


def verdicts(build):
    """{place: {program: verdict}} for the present version of each program; the header."""
    path = os.path.join(HERE, 'results.json')
    data = json.load(open(path, encoding='utf-8')) if os.path.exists(path) else {}
    fresh = os.path.join(build, 'conformance', 'out', 'results.json')
    if os.path.exists(fresh):
        new = json.load(open(fresh, encoding='utf-8')).get('software', {})
        data.setdefault('software', {}).update(new)
    src = transcripts.sources()
    return {place: {n: v['verdict'] for n, v in data.get(place, {}).items()
                    if n in src and v['source'] == transcripts.source_digest(src[n])}
            for place, _ in PLACES}, data.get('header', {})


def result(programs, known):
    seen = [known[p] for p in programs if known.get(p) in ('ok', 'FAIL')]
    if not seen:
        return '-'
    return 'differs' if 'FAIL' in seen else 'passed'


def text_of(build):
    """(markdown, [what is wrong])"""
    known = {n for lib, _ in LIBRARIES for n in exports(lib)}
    programs, wrong = covered(build, known)
    by_place, header = verdicts(build)
    device = '%(device)s, driver %(driver)s' % header if header else 'not run yet'
    tables, summary = [], ['', '| library | exported | supported | implemented, no test | '
                           'not supported | passed on the GPU | on the software device | in a Xen guest |',
                           '| --- ' * 8 + '|']
    for library, file in LIBRARIES:
        refuse, names = refused(build, library), exports(library)
        rows, count = [], {'supported': 0, 'no test': 0, 'not supported': 0}
        passed = {place: 0 for place, _ in PLACES}
        for n in sorted(names):
            mine = sorted(set(programs.get(n, [])))
            if n in refuse:
                state = 'not supported'
            else:
                state = 'supported' if mine else 'no test'
            count[state] += 1
            cells = []
            for place, _ in PLACES:
                r = result(mine, by_place[place]) if state == 'supported' else ''
                passed[place] += r == 'passed'
                cells.append(r)
            rows.append('| `%s` | %s | %s | %s |' % (
                n, state if state != 'no test' else 'implemented, no test',
                ' '.join(mine) if state == 'supported' else '', ' | '.join(cells)))
        summary.append('| %s | %d | %d | %d | %d | %d | %d | %d |' % (
            file, len(names), count['supported'], count['no test'], count['not supported'],
            passed['gpu'], passed['software'], passed['xen']))
        tables += ['', '## ' + file, '', '| function | state | programs | %s |' %
                   ' | '.join(title for _, title in PLACES), '| --- ' * 6 + '|'] + rows
    return HEAD % device + '\n'.join(summary + tables) + '\n', wrong


def main(argv):
    if len(argv) < 2:
        sys.exit(__doc__)
    path = os.path.join(ROOT, 'docs', 'coverage.md')
    if '--check' not in argv:
        last = [os.path.join(argv[1], 'conformance', n) for n in ('out/results.json',
                                                                  'xen-results.json')]
        for name in [n for n in last if os.path.exists(n)] + argv[2:]:
            transcripts.merge_results(json.load(open(name, encoding='utf-8')))
    text, wrong = text_of(argv[1])
    fidelity = open(os.path.join(ROOT, 'docs', 'fidelity.md'), encoding='utf-8').read()
    for name in set(re.findall(r'`([a-z]+_\w+)`', fidelity)) - set(transcripts.sources()):
        wrong.append('docs/fidelity.md names %s, which is no program' % name)
    for line in wrong:
        print('wrong: ' + line)
    failed = len(wrong)
    if '--check' in argv:
        old = open(path, encoding='utf-8').read() if os.path.exists(path) else ''
        if old != text:
            a, b = old.split('\n'), text.split('\n')
            changed = [x for x in b if x not in set(a)]
            print('docs/coverage.md is not up to date (make coverage); of %d lines:\n  %s' % (
                len(changed), '\n  '.join(changed[:8])))
            failed += 1
    else:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
    print('\n'.join(x for x in text.split('\n') if x.startswith('| lib')))
    print('%d passed, %d failed' % (1 - bool(failed), failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
