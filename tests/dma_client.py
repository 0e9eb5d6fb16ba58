# SPDX-License-Identifier: MIT
"""
`uiommu run --trace` of a program that uses the library's DMA API, against what the
program is known to do, and against a replay of what it wrote.

Arguments: the command, examples/dma-client.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from replay_tap import Tap

COMMAND, CLIENT = sys.argv[1:3]
RING, PACKETS, SENT = 256, 10000, 2500
HEAD = r' +program-\d+ +\[\d{3}\] \.{5} +\d+\.\d{6}: '
HEX, LIST = r'([0-9a-f]+)', r'(\{0x[0-9a-f]+(?:,0x[0-9a-f]+)*\})'
DEVICE = '0000:00:04.0'
# The kernel's text, include/trace/events/dma.h.
FORMS = {
    'dma_map_page': rf' dir=FROM_DEVICE dma_addr={HEX} size=2048 phys_addr={HEX} attrs=',
    'dma_unmap_page': rf' dir=FROM_DEVICE dma_addr={HEX} size=2048 attrs=',
    'dma_map_sg': rf' dir=TO_DEVICE nents=3/3 ents=(\d)/\1 dma_addrs={LIST} sizes={LIST}'
                  rf' phys_addrs={LIST} attrs=',
    'dma_unmap_sg': rf' dir=TO_DEVICE phys_addrs={LIST} attrs=',
    'dma_alloc': rf' dir=BIDIRECTIONAL dma_addr={HEX} size=4096 virt_addr=[0-9a-f]{{16}}'
                 r' flags=GFP_KERNEL attrs=',
    'dma_free': rf' dir=BIDIRECTIONAL dma_addr={HEX} size=4096 virt_addr=[0-9a-f]{{16}} attrs=',
}
tap = Tap()


def check_trace(path):
    counts, live, wrong = dict.fromkeys(FORMS, 0), set(), []
    for line in open(path):
        found = re.fullmatch(HEAD + r'(\w+): ' + re.escape(DEVICE) + r'( .*)\n', line)
        fields = found and found[1] in FORMS and re.fullmatch(FORMS[found[1]], found[2])
        if not fields:
            wrong.append(line)
            continue
        event = found[1]
        counts[event] += 1
        if event in ('dma_map_page', 'dma_alloc'):
            if fields[1] in live:
                wrong.append(line)
            live.add(fields[1])
        elif event in ('dma_unmap_page', 'dma_free'):
            if fields[1] not in live:
                wrong.append(line)
            live.discard(fields[1])
    tap.equal(wrong[:3], [], 'every line is as the kernel writes it, and undone once')
    tap.equal(live, set(), 'all is unmapped')
    tap.equal(counts, {'dma_map_page': RING + PACKETS, 'dma_unmap_page': RING + PACKETS,
                       'dma_map_sg': SENT, 'dma_unmap_sg': SENT, 'dma_alloc': 1, 'dma_free': 1},
              'each call of the program is an event')


def check_replay(path):
    done = subprocess.run([COMMAND, 'replay', '--json', path], capture_output=True, text=True)
    tap.ok(done.returncode == 0 and not done.stderr, 'it can be replayed', done)
    report = json.loads(done.stdout)
    tap.equal((report['source'], report['events']['map'], report['events']['unmap'],
               report['unmatched'], report['failed']['total'], report['bad_lines']),
              ('dma', 1 + RING + PACKETS + SENT, 1 + RING + PACKETS + SENT, 0, 0, 0),
              'with nothing left over')
    # The ring's page, a page for each buffer, and the three of a packet that is sent.
    tap.equal((report['mapped_bytes']['peak'], report['mapped_bytes']['now']),
              ((1 + RING + 3) * 4096, 0), 'the most that was mapped')
    tap.equal([(d['name'], d['table_bytes']['peak']) for d in report['devices']],
              [(DEVICE, 4 * 4096)], 'in a table of each level')


with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, 'trace.txt')
    alone = subprocess.run([CLIENT], capture_output=True, text=True)
    tap.equal(alone.returncode, 0, 'it runs without us')
    done = subprocess.run([COMMAND, 'run', '--report', 'none', '--trace', path, '--', CLIENT],
                          capture_output=True, text=True)
    tap.ok(done.returncode == 0 and done.stdout == alone.stdout and not done.stderr,
           'and with us, as before', done)
    check_trace(path)
    check_replay(path)
    os.remove(path)
    subprocess.run([COMMAND, 'run', '--report', 'none', '--', CLIENT], capture_output=True)
    tap.ok(not os.path.exists(path), 'no trace unless it was asked for')
tap.done()
