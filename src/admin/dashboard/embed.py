"""Makes a C include of the dashboard's files: embed.py FILE... > assets.inc

Each file as it is and in gzip, with a name for its content (ETag), and a table of them all. A file
"NAME=PATH" is taken from PATH. Fails if all files together, unpacked, exceed what a page may weigh, or
if a library isn't of the version that the page is written for and tested with.
"""
import gzip
import hashlib
import os
import sys

TYPES = {
    '.html': 'text/html; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.txt': 'text/plain; charset=utf-8',
}
WEIGHT_MAX = 190 * 1024
# What the library's file says of itself; Debian 12 and 13 have the same version.
PINNED = {'dygraph.js': b'VERSION="2.2.1"'}


def array(name, data):
    print('static const unsigned char %s[] = {' % name)
    for at in range(0, len(data), 32):
        print(''.join('%d,' % byte for byte in data[at:at + 32]))
    print('};')


def main():
    rows, weight = [], 0
    for i, argument in enumerate(sys.argv[1:]):
        name, _, path = argument.rpartition('=')
        name = name or os.path.basename(path)
        data = open(path, 'rb').read()
        if PINNED.get(name, b'') not in data:
            sys.exit('embed.py: %s is not the version %s' % (path, PINNED[name].decode()))
        # Without a time in it, so that the same files make the same program.
        packed = gzip.compress(data, 9, mtime=0)
        weight += len(data)
        array('plain_%d' % i, data)
        array('gzip_%d' % i, packed)
        rows.append('\t{ "%s", "%s", "%s", { (const char *)plain_%d, %d }, { (const char *)gzip_%d, %d } },'
                    % (name, TYPES[os.path.splitext(name)[1]], hashlib.sha256(data).hexdigest()[:16],
                       i, len(data), i, len(packed)))
    print('static const struct asset assets[] = {\n%s\n};' % '\n'.join(rows))
    if weight > WEIGHT_MAX:
        sys.exit('embed.py: the page weighs %d bytes, more than %d' % (weight, WEIGHT_MAX))


main()
