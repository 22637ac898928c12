/*
 * dashboard.c - the page and its parts, which are in the program (dashboard/embed.py).
 *
 * They are the same for everybody and tell nothing, so nobody is asked for a token: what the page
 * shows it gets from the API, as anybody else. It may load scripts, styles and data from here only,
 * and no other page may frame it (https://www.w3.org/TR/CSP3/).
 */
#include <string.h>

#include "admin/call.h"

struct asset {
	const char *name, *type, *tag;
	struct span plain, gzip;
};

#include "assets.inc"

#define POLICY                                                                      \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* "gzip" in Accept-Encoding, not with q=0 (RFC 9110, section 12.5.3). */
static bool takes_gzip(const struct headers *headers)
{
	struct span rest = headers_get(headers, SPAN("Accept-Encoding")), coding, name, weight;

	while (span_next(&rest, ',', &coding)) {
		if (!span_next(&coding, ';', &name) || !span_ieq(name, SPAN("gzip")))
			continue;
		return !span_next(&coding, ';', &weight) ||
		       (!span_ieq(weight, SPAN("q=0")) && !span_starts(weight, SPAN("q=0.0")));
	}
	return false;
}

/* Whether If-None-Match lists it, or anything ("*"). */
static bool is_known(const struct headers *headers, struct span tag)
{
	struct span rest = headers_get(headers, SPAN("If-None-Match")), one;

	while (span_next(&rest, ',', &one)) {
		if (span_starts(one, SPAN("W/")))
			one = (struct span){ one.ptr + 2, one.len - 2 };
		if (span_eq(one, tag) || span_eq(one, SPAN("*")))
			return true;
	}
	return false;
}

static void serve_file(struct call *c, const struct asset *a)
{
	const struct headers *headers = http_request_headers(c->request);
	bool gzip = takes_gzip(headers);
	CLEANUP(freep) char *tag = xasprintf("\"%s%s\"", a->tag, gzip ? "-gzip" : "");
	struct header fields[] = {
		{ SPAN("content-type"), span_of(a->type) },
		{ SPAN("etag"), span_of(tag) },
		{ SPAN("cache-control"), SPAN("no-cache") }, /* kept, but asked about each time */
		{ SPAN("vary"), SPAN("accept-encoding") },
		{ SPAN("content-security-policy"), SPAN(POLICY) },
		{ SPAN("x-content-type-options"), SPAN("nosniff") },
		{ SPAN("x-frame-options"), SPAN("DENY") },
		{ SPAN("referrer-policy"), SPAN("no-referrer") },
		{ SPAN("cross-origin-resource-policy"), SPAN("same-origin") },
		{ SPAN("content-encoding"), SPAN("gzip") }, /* the last one */
	};
	bool known = is_known(headers, span_of(tag));

	call_respond(c, &(struct http_response){
				.status = known ? 304 : 200,
				.fields = fields,
				.count = ARRAY_SIZE(fields) - (gzip && !known ? 0 : 1),
				.body = known  ? (struct span){ 0 }
					: gzip ? a->gzip
					       : a->plain,
			});
}

static void serve_named(struct call *c, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(assets); i++) {
		if (!strcmp(assets[i].name, name)) {
			serve_file(c, &assets[i]);
			return;
		}
	}
	call_fail(c, 404, "not_found", "there is no such file");
}

void serve_page(struct call *c)
{
	serve_named(c, "index.html");
}

void serve_asset(struct call *c)
{
	serve_named(c, c->params.text[0]);
}
