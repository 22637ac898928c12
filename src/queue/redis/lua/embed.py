"""Makes a C include of Lua scripts: embed.py SOURCE_ROOT SCRIPT... > scripts.inc

One line a script: SCRIPT(name, sha1, text). Those that name their KEYS themselves stand alone; the
others get prelude.lua, which does that, in front; and those that show accounts, view.lua. C.NAME in a
script is the number that the C headers below give to NAME, so each is written down once. Redis knows a
script by the SHA-1 of its text, so that is computed here.
"""
import hashlib
import json
import os
import re
import sys

HEADERS = ("request/limits.h", "queue/lock.h", "queue/hold.h", "queue/query.h", "queue/order.h", "queue/redis/scripts.h")
HERE = os.path.dirname(os.path.abspath(__file__))


def numbers(root):
    """What the headers say: enumerators and defines whose value is arithmetic of numbers."""
    found = {}
    for header in HEADERS:
        text = open(os.path.join(root, header), encoding="utf-8").read()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        for name, value in re.findall(r"(?m)^\s*(?:#define )?([A-Z][A-Z0-9_]*)\s*=?\s*([-+*/(). \d]*\d[\d)]*),?\s*$", text):
            found[name] = eval(value)
    return found


def read(name):
    return open(os.path.join(HERE, name + ".lua"), encoding="ascii").read()


def with_prelude(prelude, text):
    """What stands in front of a script: what it uses of other files."""
    view = read("view") if re.search(r"\bview\(", text) else ""
    return view + text if "KEYS[" in text else prelude + view + text


def with_numbers(known, text):
    return re.sub(r"\bC\.([A-Z][A-Z0-9_]*)", lambda m: repr(known[m.group(1)]), text)


def compact(text):
    """Without comment lines and blank ones."""
    lines = [line.strip() for line in text.split("\n")]
    return "\n".join(line for line in lines if line and not line.startswith("--")) + "\n"


def main():
    known = numbers(sys.argv[1])
    for path in sys.argv[2:]:
        name = os.path.basename(path)[:-len(".lua")]
        text = with_numbers(known, compact(with_prelude(read("prelude"), read(name))))
        print('SCRIPT(%s, "%s",' % (name.upper(), hashlib.sha1(text.encode("ascii")).hexdigest()))
        for line in text.splitlines(True):
            print("       " + json.dumps(line))
        print(")")


if __name__ == "__main__":
    main()
