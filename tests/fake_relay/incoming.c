/*
 * incoming.c - reads a request in any split.
 *
 *      HEAD ─┬─────────────────────────────────────────────────────────> DONE
 *            ├─ BODY ──────────────────────────────────────────────────> DONE
 *            └─ CHUNK_SIZE ─ (EXTENSION) ─ CHUNK ─ CHUNK_END ┐
 *                   ^  └─ 0 ─ TRAILER ─────────────────────────────────> DONE
 *                   └────────────────────────────────────────┘
 *
 * Only what a proxy may legally send is understood; everything else is BAD. It is strict so that a
 * proxy that frames a body wrongly is caught here.
 */
#include "incoming.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_MAX = 256 << 10, TRAILER_MAX = 16 << 10 };

/* Whether a member of that name (with its quotes) has that value there. */
static bool says(struct span text, struct span name, struct span value)
{
	const char *end = text.ptr + text.len, *p = text.ptr;

	while ((p = memmem(p, (size_t)(end - p), name.ptr, name.len))) {
		struct span rest = { p + name.len, (size_t)(end - p) - name.len };

		rest = span_trim(rest);
		if (rest.len && rest.ptr[0] == ':' &&
		    span_starts(span_trim((struct span){ rest.ptr + 1, rest.len - 1 }), value))
			return true;
		p += name.len;
	}
	return false;
}

static void look_at(struct incoming *in, struct span text)
{
	in->wants_stream = in->wants_stream || says(text, SPAN("\"stream\""), SPAN("true"));
	in->has_tool_result =
		in->has_tool_result || says(text, SPAN("\"type\""), SPAN("\"tool_result\""));
}

static void look_for_words(struct incoming *in, const char *data, size_t len)
{
	size_t half = sizeof in->seam / 2, n = MIN(len, half);

	memcpy(in->seam + in->seam_len, data, n);
	look_at(in, (struct span){ in->seam, in->seam_len + n });
	look_at(in, (struct span){ data, len });
	if (len >= half) {
		memcpy(in->seam, data + len - half, half);
		in->seam_len = half;
	} else {
		size_t all = in->seam_len + n, keep = MIN(all, half);

		memmove(in->seam, in->seam + all - keep, keep);
		in->seam_len = keep;
	}
}

static size_t take_body(struct incoming *in, const char *data, size_t len)
{
	size_t n = in->left < len ? (size_t)in->left : len;

	must(EVP_DigestUpdate(in->sha, data, n) == 1);
	look_for_words(in, data, n);
	in->body_bytes += n;
	in->left -= n;
	return n;
}

static void finish(struct incoming *in)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	must(EVP_DigestFinal_ex(in->sha, digest, &n) == 1 && n == 32);
	for (unsigned i = 0; i < n; i++)
		snprintf(in->sha256 + 2 * i, 3, "%02x", digest[i]);
	in->state = INCOMING_DONE;
}

static bool read_length(struct span s, uint64_t *ret)
{
	uint64_t n = 0;

	if (!s.len || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
		n = 10 * n + (uint64_t)(s.ptr[i] - '0');
	}
	*ret = n;
	return true;
}

static bool read_request_line(struct incoming *in)
{
	const char *end = in->line.ptr + in->line.len;
	const char *first = memchr(in->line.ptr, ' ', in->line.len);
	const char *last = memrchr(in->line.ptr, ' ', in->line.len), *query;

	if (!first || first == in->line.ptr || last <= first + 1)
		return false;
	in->method = (struct span){ in->line.ptr, (size_t)(first - in->line.ptr) };
	in->target = (struct span){ first + 1, (size_t)(last - first) - 1 };
	in->old = span_eq((struct span){ last + 1, (size_t)(end - last) - 1 }, SPAN("HTTP/1.0"));
	if (!in->old &&
	    !span_eq((struct span){ last + 1, (size_t)(end - last) - 1 }, SPAN("HTTP/1.1")))
		return false;
	query = memchr(in->target.ptr, '?', in->target.len);
	in->path = in->target;
	if (query) {
		in->path.len = (size_t)(query - in->target.ptr);
		in->query = (struct span){ query + 1, (size_t)(last - query) - 1 };
	}
	return true;
}

static bool read_field(struct incoming *in, struct span line)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	struct span name;

	if (!colon || colon == line.ptr)
		return false;
	name = (struct span){ line.ptr, (size_t)(colon - line.ptr) };
	if (memchr(name.ptr, ' ', name.len) || memchr(name.ptr, '\t', name.len))
		return false;
	in->fields = xrealloc(in->fields, (in->headers.count + 1) * sizeof *in->fields);
	in->fields[in->headers.count++] = (struct header){
		name,
		span_trim((struct span){ colon + 1, line.len - name.len - 1 }),
	};
	in->headers.fields = in->fields;
	return true;
}

/* Every line ends with CR LF, and a CR stands nowhere else. */
static bool read_lines(struct incoming *in)
{
	const char *p = in->head.data, *end = p + in->head.len - 2;

	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));
		struct span line;

		if (!cr || cr[1] != '\n' || memchr(p, '\n', (size_t)(cr - p)))
			return false;
		line = (struct span){ p, (size_t)(cr - p) };
		if (p == in->head.data)
			in->line = line;
		else if (!read_field(in, line))
			return false;
		p = cr + 2;
	}
	return in->line.len && read_request_line(in);
}

static bool read_framing(struct incoming *in)
{
	struct span coding = headers_get(&in->headers, SPAN("transfer-encoding"));
	struct span length = headers_get(&in->headers, SPAN("content-length"));

	if (coding.ptr && (length.ptr || in->old || !span_ieq(coding, SPAN("chunked"))))
		return false;
	if (length.ptr && !read_length(length, &in->left))
		return false;
	in->chunked = coding.ptr != NULL;
	in->close =
		in->old || span_ieq(headers_get(&in->headers, SPAN("connection")), SPAN("close"));
	in->expects_100 = span_ieq(headers_get(&in->headers, SPAN("expect")), SPAN("100-continue"));
	return true;
}

static void end_of_head(struct incoming *in)
{
	if (!read_lines(in) || !read_framing(in)) {
		in->state = INCOMING_BAD;
		return;
	}
	in->sha = EVP_MD_CTX_new();
	must(in->sha && EVP_DigestInit_ex(in->sha, EVP_sha256(), NULL) == 1);
	if (in->chunked)
		in->state = INCOMING_CHUNK_SIZE;
	else if (in->left)
		in->state = INCOMING_BODY;
	else
		finish(in);
}

static size_t take_head(struct incoming *in, const char *data, size_t len)
{
	size_t old = in->head.len, from = old > 3 ? old - 3 : 0;
	const char *end;

	buf_append(&in->head, data, len);
	end = memmem(in->head.data + from, in->head.len - from, "\r\n\r\n", 4);
	if (!end) {
		if (in->head.len > HEAD_MAX)
			in->state = INCOMING_BAD;
		return len;
	}
	in->head.len = (size_t)(end - in->head.data) + 4;
	end_of_head(in);
	return in->head.len - old;
}

static enum incoming_state chunk_size(struct incoming *in, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	if (digit && in->left < (uint64_t)1 << 56) {
		in->left = 16 * in->left + (uint64_t)(digit - digits);
		return INCOMING_CHUNK_SIZE;
	}
	if (c == ';' || c == '\r')
		return INCOMING_CHUNK_EXTENSION;
	return INCOMING_BAD;
}

/* Counts the bytes of the line at hand; an empty line ends the trailer. */
static void trailer(struct incoming *in, char c)
{
	if (c != '\n') {
		in->left += c != '\r';
		if (++in->trailer_bytes > TRAILER_MAX)
			in->state = INCOMING_BAD;
	} else if (in->left) {
		in->left = 0;
	} else {
		finish(in);
	}
}

static size_t take_framing(struct incoming *in, char c)
{
	switch (in->state) {
	case INCOMING_CHUNK_SIZE:
		in->state = chunk_size(in, c);
		break;
	case INCOMING_CHUNK_EXTENSION:
		if (c == '\n')
			in->state = in->left ? INCOMING_CHUNK : INCOMING_TRAILER;
		break;
	case INCOMING_CHUNK_END:
		if (c == '\n')
			in->state = INCOMING_CHUNK_SIZE;
		else if (c != '\r')
			in->state = INCOMING_BAD;
		break;
	default:
		trailer(in, c);
		break;
	}
	return 1;
}

size_t incoming_feed(struct incoming *in, const char *data, size_t len)
{
	size_t used = 0;

	if (in->state == INCOMING_HEAD)
		return take_head(in, data, len);
	while (used < len && in->state != INCOMING_DONE && in->state != INCOMING_BAD) {
		if (in->state == INCOMING_BODY || in->state == INCOMING_CHUNK) {
			used += take_body(in, data + used, len - used);
			if (!in->left && in->state == INCOMING_BODY)
				finish(in);
			else if (!in->left)
				in->state = INCOMING_CHUNK_END;
		} else {
			used += take_framing(in, data[used]);
		}
	}
	return used;
}

void incoming_clear(struct incoming *in)
{
	EVP_MD_CTX_free(in->sha);
	buf_clear(&in->head);
	free(in->fields);
	*in = (struct incoming){ 0 };
}
