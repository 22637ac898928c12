"""Random spellings of requests: of the path, of the fields with keys, of the body."""
import gzip
import json
import zlib

from readers import Request

PATHS = ("/v1/messages",) * 6 + ("/api/v1/messages", "/claude/v1/messages", "/v1/messages/count_tokens", "/v1/models")
KEY_FIELDS = ("x-api-key", "authorization", "x-goog-api-key", "api-key", "x-litellm-api-key")
MESSAGES = (
    [{"role": "user", "content": "hi"}],
    [{"role": "user", "content": "hi"}, {"role": "system", "content": "be brief"}],
    [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
    [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    [],
)


def spell_path(r, path):
    for _ in range(r.choice((0, 1, 1, 2, 4))):
        at = r.randrange(len(path) + 1)
        slashes = [i for i, c in enumerate(path) if c == "/"] or [0]
        slash = r.choice(slashes)
        path = r.choice((
            lambda: path[:at] + path[at:at + 1].swapcase() + path[at + 1:],
            lambda: path.upper(),
            lambda: path[:at] + "%%%02x" % ord(path[at]) + path[at + 1:] if path[at:] and path[at] != "%" else path,
            lambda: path[:at] + "%%%02X" % ord(path[at]) + path[at + 1:] if path[at:] and path[at] != "%" else path,
            lambda: path[:slash] + "/" * r.randrange(1, 4) + path[slash:],
            lambda: path[:slash] + "/." + path[slash:],
            lambda: path[:slash] + "/x/%s" % r.choice(("..", "%2e%2e", ".%2E")) + path[slash:],
            lambda: path[:slash] + "\\" + path[slash + 1:],
            lambda: path + r.choice(("/", "//", "/.", "/x/..", "%0a", "%20", "/%2e", ";", ";a=b", ";/x", "/;x", "%2F")),
            lambda: path[:slash] + r.choice((";a=b", ";")) + path[slash:],
            lambda: r.choice(("/x", "//x", "/api", "/API", "/x;y", "/..")) + path,
        ))()
    return path + r.choice(("", "", "?beta=true", "?", "?a=/v1/models", "?;"))


def spell_key(r, key):
    return r.choice(("", "Bearer ", "bearer ", "BEARER\t", "Bearer   ", "\xa0", " ", "Basic ")) + key + \
        r.choice(("", "", " ", "\t", "\xa0"))


def spell_fields(r, key, other):
    """Fields in which one key is found, and what isn't a key to anybody; sometimes two keys."""
    fields = []
    for name in r.sample(KEY_FIELDS, r.choice((1, 1, 1, 2, 3))):
        fields.append((name, spell_key(r, key)))
    if r.random() < 0.4:
        name = r.choice(KEY_FIELDS)
        fields.insert(r.randrange(len(fields) + 1), (name, r.choice(("", "Bearer", "Bearer ", " \t"))))
    if r.random() < 0.3:
        hidden = r.choice(KEY_FIELDS)
        fields = [f for f in fields if f[0] != hidden or r.random() < 0.2]
        fields.insert(0, (hidden, spell_key(r, other)))
        fields.append(("Connection", r.choice(("close, %s", "%s", "keep-alive , %s ,")) % hidden.title()))
    elif r.random() < 0.2:
        fields.insert(r.randrange(len(fields) + 1), (r.choice(KEY_FIELDS), spell_key(r, other)))
    return [(r.choice((str, str.upper, str.title))(name), value) for name, value in fields]


def spell_name(r, name):
    how = r.random()
    if how < 0.85:
        return json.dumps(name)
    if how < 0.9:
        return '"' + "".join("\\u%04x" % ord(c) for c in name) + '"'
    return json.dumps(r.choice((name.upper(), name.title(), name.replace("s", "\u017f"), name)),
                      ensure_ascii=r.random() < 0.5)


def spell_json(r, value):
    """json.dumps() with odd names, blanks, and numbers that aren't."""
    blank = r.choice(("", "", " ", "\n\t"))
    if isinstance(value, dict):
        members = [spell_name(r, k) + blank + ":" + blank + spell_json(r, v) for k, v in value.items()]
        if r.random() < 0.03:
            members.insert(r.randrange(len(members) + 1), '"x":' + r.choice(("NaN", "Infinity", "-Infinity", "1e400")))
        if r.random() < 0.1:
            r.shuffle(members)
        return "{" + ("," + blank).join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spell_json(r, v) for v in value) + "]"
    return json.dumps(value)


def form(value, name):
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in form(v, "%s[%s]" % (name, k) if name else k)]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in form(v, "%s[%d]" % (name, i))]
    return ["%s=%s" % (name, value)]


def spell_body(r, doc):
    """The body and the fields that say what it is."""
    if r.random() < 0.05:
        text = "&".join(form(doc, ""))
        if r.random() < 0.5:
            text = '{"x":"&%s&y="}' % text
        return text.encode(), [("Content-Type", "application/x-www-form-urlencoded")]
    text = spell_json(r, doc)
    if r.random() < 0.1:
        text += r.choice((" ", "\n", "x", "{}", "\0", '{"messages":[]}', "]"))
    text = r.choice(("", "", "", "\n ", "\ufeff")) + text
    encoding = r.choice(("utf-8",) * 8 + ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"))
    kind = r.choice(("application/json",) * 6 + ("Application/JSON", "text/plain", "application/yaml", ""))
    charset = r.choice(("", ";charset=%s", '; Charset="%s"', "; charset = %s", ";x=y;charset=%s"))
    body = text.encode(encoding, "surrogatepass")
    fields = [("Content-Type", kind + (charset % encoding if charset else ""))] if kind else []
    return spell_coding(r, body, fields)


def spell_coding(r, body, fields):
    how = r.random()
    if how < 0.75:
        return body, fields
    coding = r.choice(("gzip", "deflate", "x-gzip", "zstd", "gzip, gzip", "identity", "none", "GZIP"))
    fields = fields + [("Content-Encoding", coding)]
    if how < 0.85:
        return body, fields  # it isn't what it says
    if coding.lower() in ("gzip", "x-gzip"):
        packed = gzip.compress(body)
        return r.choice((packed, packed, packed[:-4], packed[:-6] + b"\0\0" + packed[-4:], packed + packed)), fields
    return (zlib.compress(body) if coding == "deflate" else body), fields


def plain(doc):
    return json.dumps(doc).encode(), [("Content-Type", "application/json")]


def spell(r, key, other):
    """Odd in path, fields or body, or in several of them."""
    doc = {"model": "m", "messages": r.choice(MESSAGES[:4] * 2 + MESSAGES), "max_tokens": 5}
    path = r.choice(PATHS)
    body, fields = spell_body(r, doc) if r.random() < 0.5 else plain(doc)
    if r.random() < 0.5:
        fields = fields + spell_fields(r, key, other)
    else:
        fields = fields + [r.choice((("X-Api-Key", key), ("Authorization", "Bearer " + key)))]
    r.shuffle(fields)
    if r.random() < 0.5:
        path = spell_path(r, path)
    return Request(r.choice(("POST",) * 20 + ("post", "GET")), path, fields, body)


def plain_tool_result(key):
    """What a client sends in the middle of a tool loop: nothing about it is odd."""
    body, fields = plain({"model": "m", "messages": MESSAGES[4]})
    return Request("POST", "/v1/messages?beta=true", fields + [("X-Api-Key", key)], body)
