"""How relays read a request: which path they serve, where they find the key, what they take for a body.

Each reader is a function of a Request that turnstile has forwarded. It returns the API key for which the
relay would serve the request as a user's message, or None. They are small, and as lax as the relay that they
stand for: Express with its body parsers, Gin with structs, Starlette with json.loads(), and the paths of
Fastify, of Java's servlets, and of whoever uses WHATWG's URLs (Hono, fetch handlers).
"""
import gzip
import json
import re
import zlib
from urllib.parse import unquote_to_bytes, unquote_plus


class Refused(Exception):
    """The relay answers an error."""


class Request:
    def __init__(self, method, target, fields, body):
        self.method, self.target, self.fields, self.body = method, target, fields, body

    def forwarded(self):
        """As it arrives behind turnstile: without the fields that Connection names."""
        named = {name.strip().lower() for key, value in self.fields if key.lower() == "connection"
                 for name in value.split(",")} | {"connection"}
        return Request(self.method, self.target, [f for f in self.fields if f[0].lower() not in named], self.body)

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name]

    def first(self, name):
        return (self.values(name) + [""])[0]

    def path(self):
        return self.target.split("?")[0]


def is_message(doc):
    """The rule: the last message that isn't system's is the user's, and no tool's result."""
    messages = doc.get("messages") if isinstance(doc, dict) else None
    if not isinstance(messages, list):
        return False
    rest = [m for m in messages if not (isinstance(m, dict) and m.get("role") == "system")]
    if not rest or not isinstance(rest[-1], dict) or rest[-1].get("role") != "user":
        return False
    content = rest[-1].get("content")
    types = [b.get("type") for b in content if isinstance(b, dict)] if isinstance(content, list) else []
    return not any(isinstance(t, str) and (t in ("tool_result", "tool_use_result") or t.endswith("_tool_result"))
                   for t in types)


def no_constant(name):
    raise ValueError(name)


# --- Express: case and a trailing slash don't matter, keys as claude-relay-service finds them ---------------

JS_SPACE = " \t\n\v\f\r\xa0"


def express_path(path):
    for mount in ("", "/api", "/claude"):
        found = re.match("^" + mount + r"/?(?=/|$)", path, re.I) if mount else None
        if mount and not found:
            continue
        rest = path[found.end():] if found else path
        rest = rest if rest.startswith("/") else "/" + rest
        if re.match(r"^/v1/messages/?\Z", rest, re.I):
            return True
    return False


def node_value(request, name):
    """Node joins fields of one name, but keeps the first of some."""
    values = request.values(name)
    return values[0] if values and name in ("authorization", "content-type") else ", ".join(values)


def express_key(request):
    for name in ("x-api-key", "x-goog-api-key", "authorization", "api-key"):
        key = node_value(request, name).strip(JS_SPACE)
        if re.match("^Bearer[" + JS_SPACE + "]+", key, re.I):
            key = re.sub("^Bearer[" + JS_SPACE + "]+", "", key, count=1, flags=re.I).strip(JS_SPACE)
        if key:
            return key
    return None


def inflated(request):
    coding = node_value(request, "content-encoding").lower()
    if coding in ("", "identity"):
        return request.body
    try:
        return {"gzip": gzip.decompress, "deflate": zlib.decompress}[coding](request.body)
    except (KeyError, OSError, EOFError, zlib.error):
        raise Refused(coding)


def qs(text):
    """a[b][0]=c, as the extended urlencoded parser reads it."""
    root = {}
    for pair in text.split("&"):
        key, _, value = pair.partition("=")
        key, value = unquote_plus(key), unquote_plus(value)
        names = [key.split("[")[0]] + re.findall(r"\[([^\[\]]*)\]", key)
        at = root
        for name in names[:-1]:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise Refused("qs")
        at[names[-1]] = value

    def lists(node):
        if not isinstance(node, dict):
            return node
        if node and all(k.isdigit() for k in node):
            return [lists(node[k]) for k in sorted(node, key=int)]
        return {k: lists(v) for k, v in node.items()}
    return lists(root)


def express_body(request):
    kind, _, parameters = node_value(request, "content-type").partition(";")
    kind = kind.strip().lower()
    charset = re.search(r'charset\s*=\s*"?([^\s;"]+)', parameters, re.I)
    charset = charset.group(1).lower() if charset else "utf-8"
    if kind == "application/x-www-form-urlencoded":
        return qs(inflated(request).decode("latin-1"))
    if kind != "application/json" or not charset.startswith("utf-"):
        raise Refused(kind)
    try:
        text = inflated(request).decode(charset, "replace").lstrip("\ufeff")
    except (LookupError, UnicodeError):
        raise Refused(charset)
    return json.loads(text, parse_constant=no_constant)


# --- Gin: the path decoded, the first value of a field, JSON into structs --------------------------------------

def go_clean(path):
    out = []
    for segment in path.split("/"):
        if segment == "..":
            out = out[:-1]
        elif segment not in ("", "."):
            out.append(segment)
    return "/" + "/".join(out)


def decoded(path):
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def gin_path(path):
    return decoded(path) in ROUTES or go_clean(decoded(path)) in ROUTES


def gin_key(request):
    scheme, _, key = request.first("authorization").partition(" ")
    key = key.strip() if scheme.lower() == "bearer" else ""
    return key or request.first("x-api-key") or request.first("x-goog-api-key") or None


def go_fold(name):
    return name.lower().replace("\u017f", "s").replace("\u212a", "k")


def go_object(pairs):
    """encoding/json ignores case where a struct has the field."""
    return {go_fold(k) if go_fold(k) in ("messages", "role", "content", "type") else k: v for k, v in pairs}


def gin_body(request):
    """Content-Type and Content-Encoding don't matter, and what stands behind the first value neither."""
    return go_decode(request.body)


def gin_unzipped_body(request):
    """The same behind a middleware that unzips: the decoder reads no further than the value, so a damaged end
    and a wrong checksum don't matter."""
    if request.first("content-encoding").lower() not in ("gzip", "x-gzip"):
        return go_decode(request.body)
    try:
        return go_decode(zlib.decompressobj(wbits=31).decompress(request.body[:-8]))
    except zlib.error:
        raise Refused("gzip")


def go_decode(body):
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    return json.JSONDecoder(object_pairs_hook=go_object, parse_constant=no_constant).raw_decode(text)[0]


# --- Starlette: the path decoded, "$" as in Python, keys as LiteLLM finds them ---------------------------------

def starlette_path(path):
    return any(re.match("^" + re.escape(route) + "$", decoded(path)) for route in ROUTES)


def starlette_key(request):
    for name in ("x-litellm-api-key", "authorization", "api-key", "x-api-key", "x-goog-api-key"):
        key = request.first(name)
        for scheme in ("Bearer ", "Basic ", "bearer "):
            if key.startswith(scheme):
                key = key.replace(scheme, "")
        if key.strip():
            return key.strip()
    return None


def starlette_body(request):
    return json.loads(request.body)


# --- paths of others --------------------------------------------------------------------------------------------

def fastify_path(path):
    path = decoded(path.split(";")[0])
    return path in ROUTES or path.rstrip("/") in ROUTES


def servlet_path(path):
    return go_clean(decoded("/".join(segment.split(";")[0] for segment in path.split("/")))) in ROUTES


def whatwg_path(path):
    segments = []
    for segment in path.replace("\\", "/").split("/")[1:]:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            segments = segments[:-1]
        elif plain != ".":
            segments.append(segment)
    return "/" + "/".join(segments) in ROUTES


ROUTES = ("/v1/messages", "/api/v1/messages", "/claude/v1/messages")
RELAYS = {
    "express": (express_path, express_key, express_body),
    "gin": (gin_path, gin_key, gin_body),
    "gin unzips": (gin_path, gin_key, gin_unzipped_body),
    "starlette": (starlette_path, starlette_key, starlette_body),
    "fastify": (fastify_path, express_key, express_body),
    "servlet": (servlet_path, gin_key, gin_body),
    "whatwg": (whatwg_path, starlette_key, starlette_body),
}


def served(relay, request, known):
    """The one of the `known` keys for which that relay serves the request as a message, or None."""
    path, key, body = RELAYS[relay]
    request = request.forwarded()
    if request.method != "POST" or not path(request.path()):
        return None
    try:
        return key(request) if key(request) in known and is_message(body(request)) else None
    except (Refused, ValueError, RecursionError):
        return None
