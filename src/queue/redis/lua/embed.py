"""Makes a C include of Lua scripts: embed.py PRELUDE SCRIPT... > scripts.inc

One line a script: SCRIPT(name, sha1, text). Those that name their KEYS themselves stand alone; the
others get the prelude, which does that, in front. Redis knows a script by the SHA-1 of its text, so that is computed here.
"""
import hashlib
import json
import os
import sys

prelude = open(sys.argv[1]).read()
for path in sys.argv[2:]:
    name = os.path.basename(path)[:-len('.lua')]
    text = open(path).read()
    if 'KEYS[' not in text:
        text = prelude + text
    lines = [line.strip() for line in text.split('\n')]
    text = '\n'.join(line for line in lines if line and not line.startswith('--')) + '\n'
    sha = hashlib.sha1(text.encode('ascii')).hexdigest()
    print('SCRIPT(%s, "%s",' % (name.upper(), sha))
    for line in text.splitlines(True):
        print('       ' + json.dumps(line))
    print(')')
