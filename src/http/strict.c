/*
 * strict.c - may this head be believed?
 *
 * A request is refused, not repaired. Whoever writes such heads is either broken or trying to make
 * two parties see two different messages, and a repair is one more reading of it.
 */
#include "http/strict.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* RFC 9110, section 5.6.2: what methods and field names consist of. */
static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (!c || c > 126 || (!isalnum(c) && !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0;
}

/* Section 5.5: no control characters but the tab; bytes above 127 are opaque. */
static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < 32 && c != '\t') || c == 127)
			return false;
	}
	return true;
}

static bool is_digits(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	}
	return true;
}

/* RFC 9110, section 8.6: digits, and such that a signed 64-bit number holds them. */
static bool is_length(struct span s)
{
	while (s.len > 1 && s.ptr[0] == '0')
		s.ptr++, s.len--;
	return s.len > 0 && s.len <= 18 && is_digits(s);
}

static size_t count_of(const struct headers *h, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		n += span_ieq(h->fields[i].name, name);
	return n;
}

/* RFC 9110, section 7.2, and RFC 3986, section 3.2.2: uri-host [ ":" port ]; may be empty. */
static bool is_host(struct span s)
{
	const char *close = s.len && s.ptr[0] == '[' ? memchr(s.ptr, ']', s.len) : NULL;
	const char *colon = s.len ? memchr(s.ptr, ':', s.len) : NULL;
	size_t host = close ? (size_t)(close - s.ptr) + 1 : colon ? (size_t)(colon - s.ptr) : s.len;

	for (size_t i = 0; i < host; i++) {
		char c = s.ptr[i];

		if (!c || (!isalnum((unsigned char)c) && !strchr("-._~%!$&'()*+;=", c) &&
			   !(close && strchr("[]:", c))))
			return false;
	}
	if (host == s.len)
		return true;
	return host && s.ptr[host] == ':' && s.len - host <= 6 &&
	       is_digits((struct span){ s.ptr + host + 1, s.len - host - 1 });
}

static const char *wrong_host(const struct request_head *h)
{
	struct span host = headers_get(&h->fields, SPAN("Host")), authority, path;
	size_t n = count_of(&h->fields, SPAN("Host"));

	if (n > 1)
		return "two Host fields"; /* RFC 9112, section 3.2 */
	if (!n && !head_is_1_0(h))
		return "no Host";
	if (!is_host(host))
		return "bad Host";
	if (target_split(h->target, &authority, &path)) {
		if (!authority.len || !is_host(authority))
			return "bad authority";
		if (n && !span_ieq(authority, host))
			return "authority differs from Host";
	}
	return NULL;
}

/* RFC 9112, section 3.2: origin-form, absolute-form, or "*" for OPTIONS. */
static const char *wrong_target(const struct request_head *h)
{
	struct span t = h->target, authority, path;

	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.ptr[i];

		if (c <= 32 || c == 127)
			return "space or control character in the target";
		if (c == '#')
			return "fragment in the target";
	}
	if (span_starts(t, SPAN("/")) || target_split(t, &authority, &path))
		return NULL;
	if (span_eq(t, SPAN("*")) && span_eq(h->method, SPAN("OPTIONS")))
		return NULL;
	return "the target is neither a path nor a URL";
}

static const char *wrong_fields(const struct headers *h)
{
	for (size_t i = 0; i < h->count; i++) {
		if (!is_token(h->fields[i].name))
			return "bad field name"; /* RFC 9112, section 5.1 */
		if (!is_value(h->fields[i].value))
			return "control character in a field value";
	}
	return NULL;
}

/* RFC 9112, sections 6.1 to 6.3: what frames the body must be said once, and one thing. */
static const char *wrong_framing(const struct headers *h, bool may_be_coded)
{
	static const struct span cl = SPAN("Content-Length"), te = SPAN("Transfer-Encoding");
	size_t lengths = count_of(h, cl), codings = count_of(h, te);

	if (lengths && codings)
		return "Content-Length and Transfer-Encoding";
	if (lengths > 1)
		return "two Content-Lengths";
	if (lengths && !is_length(headers_get(h, cl)))
		return "bad Content-Length";
	if (codings > 1)
		return "two Transfer-Encodings";
	if (codings && !may_be_coded)
		return "Transfer-Encoding in HTTP/1.0";
	return NULL;
}

/* "chunked" and nothing else, or codings that we don't know. */
static enum strict_refusal check_coding(const struct headers *h, const char **ret_why)
{
	struct span coding = headers_get(h, SPAN("Transfer-Encoding")), element;
	int chunked = 0, others = 0;

	if (!coding.ptr || span_ieq(coding, SPAN("chunked")))
		return STRICT_FINE;
	while (span_next(&coding, ',', &element)) {
		if (span_ieq(element, SPAN("chunked")))
			chunked++;
		else if (element.len)
			others++;
	}
	*ret_why = others ? "unknown transfer coding" : "bad Transfer-Encoding";
	return others && chunked < 2 ? STRICT_NOT_IMPLEMENTED : STRICT_BAD_REQUEST;
}

/* The size first: what is too large needn't be read to its end. */
static enum strict_refusal check_limits(const struct request_head *h, const struct strict_limits *l,
					const char **ret_why)
{
	if ((int64_t)h->target.len > l->max_target_bytes) {
		*ret_why = "target too long";
		return STRICT_TARGET_TOO_LONG;
	}
	if ((int64_t)h->bytes > l->max_header_bytes) {
		*ret_why = "headers too large";
		return STRICT_HEADERS_TOO_LARGE;
	}
	if ((int64_t)h->fields.count > l->max_headers) {
		*ret_why = "too many headers";
		return STRICT_HEADERS_TOO_LARGE;
	}
	return STRICT_FINE;
}

enum strict_refusal strict_request(const struct request_head *h, const struct strict_limits *limits,
				   const char **ret_why)
{
	enum strict_refusal refusal = check_limits(h, limits, ret_why);
	const char *why = NULL;

	if (refusal)
		return refusal;
	if (h->altered)
		why = "a folded line, a NUL, a bare LF or stray spaces in the head";
	else if (!is_token(h->method))
		why = "bad method";
	if (!why && span_eq(h->method, SPAN("CONNECT"))) {
		*ret_why = "CONNECT";
		return STRICT_NOT_IMPLEMENTED;
	}
	if (!why)
		why = wrong_fields(&h->fields);
	if (!why)
		why = wrong_target(h);
	if (!why)
		why = wrong_host(h);
	if (!why)
		why = wrong_framing(&h->fields, !head_is_1_0(h));
	if (!why)
		return check_coding(&h->fields, ret_why);
	*ret_why = why;
	return STRICT_BAD_REQUEST;
}

int strict_response(const struct headers *h, bool is_1_0, const char **ret_why)
{
	const char *why = wrong_fields(h);

	if (!why)
		why = wrong_framing(h, !is_1_0);
	if (!why && check_coding(h, &why))
		why = "unknown transfer coding";
	if (!why)
		return 0;
	*ret_why = why;
	return -EBADMSG;
}
