/*
 * explain.c - the verdict on a request from a file, by the same functions that judge real ones.
 *
 *      {"gated":true,"mode":"enforce","kind":"user_message","reason":"text","meaning":"…",
 *       "account":"key-…","account_from":"api-key","other_key":null,"share":"u-…",
 *       "weight":1,"mark":null,"yields":false,"session":"…","keep_key":"…","exempt":null,"would":"…",
 *       "settings":{…}}
 */
#include "explain.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/addresses.h"
#include "config/config.h"
#include "request/json.h"
#include "request/request.h"

enum { READ_BYTES = 64 * 1024, EXIT_USAGE = 2 };

/* A request as far as it is known; what isn't has the value of a usual one. */
struct explain_request {
	const char *target, *client;
	const char **headers, **overrides; /* each ended by NULL */
	const char *file;                  /* its body; "-": standard input */
	bool from_log;                     /* … which holds lines of a log instead */
};

static int read_body(const char *file, struct buf *body)
{
	FILE *f = !strcmp(file, "-") ? stdin : fopen(file, "re");
	size_t n;
	int r;

	if (f) {
		while ((n = fread(buf_reserve(body, READ_BYTES), 1, READ_BYTES, f)) > 0)
			body->len += n;
		r = ferror(f) ? -errno : 0;
		if (f != stdin)
			fclose(f);
	} else {
		r = -errno;
	}
	if (r < 0)
		fprintf(stderr, "turnstile explain: %s: %s\n", file, strerror(-r));
	return r;
}

/* The fields point into `lines`; the caller frees the array. */
static int split_headers(const char *const *lines, struct header **ret, size_t *ret_count)
{
	size_t count = 0;

	while (lines[count])
		count++;
	*ret = xcalloc(count + 1, sizeof **ret);
	for (size_t i = 0; i < count; i++) {
		size_t n = strcspn(lines[i], ":");

		if (!n || !lines[i][n]) {
			fputs("turnstile explain: a header is written as 'Name: value'\n", stderr);
			return -EINVAL;
		}
		(*ret)[i].name = (struct span){ lines[i], n };
		(*ret)[i].value = span_trim(span_of(lines[i] + n + 1));
	}
	*ret_count = count;
	return 0;
}

static void judge(const struct config *config, const struct explain_request *request,
		  const struct headers *headers, struct span body, struct request_verdict *ret)
{
	struct look *look;

	if (!request_is_looked_at(config, SPAN("POST"), span_of(request->target))) {
		request_not_looked_at(ret);
		return;
	}
	look = look_new(headers);
	look_feed(look, body.ptr, body.len);
	look_finish(look, config, headers, request->client, body, ret);
	look_free(look);
}

static void put_string(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, ",\"%s\":", key);
	if (value)
		buf_json(b, span_of(value));
	else
		buf_puts(b, "null");
}

/* The rule as it is written in queue.exempt, or in the share's section. */
static void put_exempt(struct buf *b, const struct config *config, const struct request_verdict *v)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	struct share_terms share;

	share_terms_of(config, v->share, &share);
	if (v->exempt)
		config_mark_print(&share.exempt[v->exempt - 1], &text);
	put_string(b, "exempt", v->exempt ? buf_str(&text) : NULL);
}

/* Whose it is within the account, and how it stands in line; null where it isn't gated. */
static void put_standing(struct buf *b, const struct request_verdict *v)
{
	put_string(b, "share", v->share[0] ? v->share : NULL);
	if (v->keep_key[0])
		buf_printf(b, ",\"weight\":%.15g", v->weight);
	else
		buf_puts(b, ",\"weight\":null");
	put_string(b, "mark", v->mark[0] ? v->mark : NULL);
	buf_printf(b, ",\"yields\":%s", v->yields ? "true" : "false");
	put_string(b, "session", v->session[0] ? v->session : NULL);
	put_string(b, "keep_key", v->keep_key[0] ? v->keep_key : NULL);
}

/* That of its account, where it has one. */
static enum queue_mode mode_of(const struct config *config, const struct request_verdict *v)
{
	struct account_terms terms;

	account_terms_of(config, v->account, &terms);
	return terms.mode;
}

/* What becomes of it, in a sentence. */
static void put_would(struct buf *b, const struct config *config, const struct request_verdict *v)
{
	CLEANUP(buf_clear) struct buf text = { 0 };

	if (!v->gated) {
		buf_puts(&text, "passes at once");
	} else if (config->queue.order == QUEUE_ORDER_ARRIVAL) {
		buf_printf(&text, "waits in the line of %s in order of arrival", v->account);
	} else {
		buf_printf(&text, "waits in the line of %s as share %s of weight %.15g", v->account,
			   v->share[0] ? v->share : "-", v->weight);
		if (v->yields)
			buf_printf(&text, ", and lets others go first for %" PRId64 " rounds",
				   config->queue.yield_rounds);
	}
	if (v->gated && mode_of(config, v) == QUEUE_MODE_OBSERVE)
		buf_puts(&text, "; but as this is only observed, it passes");
	put_string(b, "would", buf_str(&text));
}

/* Those of a request that comes now; null where no account is known. */
static void put_settings(struct buf *b, const struct config *config, const struct headers *headers,
			 const struct request_verdict *v)
{
	struct account_terms terms;

	if (!v->account[0]) {
		buf_puts(b, ",\"settings\":null");
		return;
	}
	request_terms(config, headers, v->account, v->stream, 0, &terms);
	buf_printf(b,
		   ",\"settings\":{\"enabled\":%s,\"delay_ms\":%" PRId64 ",\"timeout_ms\":%" PRId64
		   ",\"max_waiting\":%" PRId64 ",\"release_on\":\"%s\"}",
		   terms.enabled ? "true" : "false", terms.delay_ms, terms.timeout_ms,
		   terms.max_waiting, terms.release_on == RELEASE_ON_HEADERS ? "headers" : "end");
}

static void put_verdict(struct buf *b, const struct config *config, const struct headers *headers,
			const struct request_verdict *v)
{
	bool known = v->account[0];

	buf_printf(b, "{\"gated\":%s", v->gated ? "true" : "false");
	put_string(b, "mode", queue_mode_name(mode_of(config, v)));
	put_string(b, "kind", request_kind_name(v->kind));
	put_string(b, "reason", v->reason);
	put_string(b, "meaning", request_reason_meaning(v->reason));
	put_string(b, "account", known ? v->account : NULL);
	put_string(b, "account_from", known ? source_name(v->account_from) : NULL);
	put_string(b, "other_key", v->other_key[0] ? v->other_key : NULL);
	put_standing(b, v);
	put_exempt(b, config, v);
	put_would(b, config, v);
	put_settings(b, config, headers, v);
	buf_puts(b, "}");
}

static int explain(const struct config *config, const struct explain_request *request)
{
	CLEANUP(buf_clear) struct buf body = { 0 }, line = { 0 };
	CLEANUP(freep) struct header *fields = NULL;
	struct headers headers = { 0 };
	struct request_verdict verdict;
	int r = split_headers(request->headers, &fields, &headers.count);

	if (!r)
		r = read_body(request->file, &body);
	if (r < 0)
		return r;
	headers.fields = fields;
	judge(config, request, &headers, buf_span(&body), &verdict);
	put_verdict(&line, config, &headers, &verdict);
	puts(buf_str(&line));
	return 0;
}

static const char *told(const cJSON *line, const char *key)
{
	return cJSON_GetStringValue(json_member(line, key));
}

/*
 * A line about an exchange, in the fields of a verdict: what it says, and what its reason means.
 * What no log can know (body, headers, the configuration of then) is null. Nothing for other lines.
 */
static void explain_line(struct span text, struct buf *to)
{
	CLEANUP(json_freep) cJSON *line = json_parse(text);
	const char *msg = told(line, "msg"), *kind = told(line, "kind");
	const char *reason = told(line, "reason");

	if (!msg || strcmp(msg, "exchange") != 0 || !kind || !reason)
		return;
	buf_printf(to, "{\"gated\":%s,\"mode\":null",
		   !strcmp(kind, request_kind_name(KIND_USER_MESSAGE)) ||
				   !strcmp(kind, request_kind_name(KIND_UNCLEAR))
			   ? "true"
			   : "false");
	put_string(to, "kind", kind);
	put_string(to, "reason", reason);
	put_string(to, "meaning", request_reason_meaning(reason));
	put_string(to, "account", told(line, "account"));
	put_string(to, "account_from", NULL);
	put_string(to, "other_key", NULL);
	put_string(to, "share", told(line, "share"));
	put_string(to, "weight", NULL);
	put_string(to, "mark", told(line, "mark"));
	put_string(to, "yields", NULL);
	put_string(to, "session", NULL);
	put_string(to, "keep_key", NULL);
	put_string(to, "exempt", NULL);
	put_string(to, "would", NULL);
	put_string(to, "settings", NULL);
	put_string(to, "request_id", told(line, "request_id"));
	put_string(to, "outcome", told(line, "outcome"));
	buf_puts(to, "}\n");
}

/* One line for each line about an exchange; others are passed over, but some there must be. */
static int explain_log(const struct explain_request *request)
{
	CLEANUP(buf_clear) struct buf log = { 0 }, lines = { 0 };
	struct span rest, line;
	int r = read_body(request->file, &log);

	if (r < 0)
		return r;
	rest = buf_span(&log);
	while (span_next(&rest, '\n', &line))
		explain_line(line, &lines);
	if (!lines.len) {
		fputs("turnstile explain: no line about an exchange in there; log.format must be json\n",
		      stderr);
		return -EINVAL;
	}
	fputs(buf_str(&lines), stdout);
	return 0;
}

static const char usage[] =
	"usage: turnstile explain [--config FILE] [-o section.key=value]... [--header 'Name: value']...\n"
	"                         [--target PATH] [--client ADDRESS] [FILE|-]\n"
	"       turnstile explain --from-log [FILE|-]\n"
	"\n"
	"Prints, as one line of JSON, whether the POST with the body in FILE (or on standard input) would\n"
	"queue by this configuration, why, for whom, and how.\n"
	"\n"
	"  -H, --header 'Name: value'  one of its headers\n"
	"      --target PATH           where it is sent to; default: /v1/messages\n"
	"      --client ADDRESS        where it comes from, empty for a Unix socket; default: 127.0.0.1\n"
	"      --from-log              FILE is a log in JSON: what its lines about exchanges say, with the\n"
	"                              meaning of their reasons; what a log can't know is null\n"
	"  -c, --config FILE, -o section.key=value   as for turnstile itself\n";

static bool is_client(const char *text)
{
	bool valid = !*text || address_is_numeric(text);

	if (!valid)
		fprintf(stderr, "turnstile explain: --client: \"%s\" is no IP address\n", text);
	return valid;
}

/* 0, 1 if only the usage was asked for, or -EINVAL. */
static int parse_arguments(int argc, char **argv, struct explain_request *a,
			   struct config_sources *sources)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "header", required_argument, NULL, 'H' },
		{ "target", required_argument, NULL, 'T' },
		{ "client", required_argument, NULL, 'A' },
		{ "from-log", no_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	size_t headers = 0, overrides = 0;
	int c;

	while ((c = getopt_long(argc, argv, "c:o:H:h", longs, NULL)) != -1) {
		if (c == 'c')
			sources->file = optarg;
		else if (c == 'o')
			a->overrides[overrides++] = optarg;
		else if (c == 'H')
			a->headers[headers++] = optarg;
		else if (c == 'T')
			a->target = optarg;
		else if (c == 'A' && is_client(optarg))
			a->client = optarg;
		else if (c == 'L')
			a->from_log = true;
		else
			return c == 'h' ? 1 : -EINVAL;
	}
	a->file = optind < argc ? argv[optind++] : "-";
	return optind < argc ? -EINVAL : 0;
}

static int load_and_explain(const struct config_sources *sources,
			    const struct explain_request *request)
{
	CLEANUP(buf_clear) struct buf errors = { 0 };
	CLEANUP(config_freep) struct config *config = NULL;

	if (config_load(sources, &errors, &config) < 0) {
		fputs(buf_str(&errors), stderr);
		return EXIT_USAGE;
	}
	return explain(config, request) < 0 ? EXIT_USAGE : 0;
}

int explain_main(int argc, char **argv)
{
	CLEANUP(freep) const char **headers = xcalloc((size_t)argc + 1, sizeof *headers);
	CLEANUP(freep) const char **overrides = xcalloc((size_t)argc + 1, sizeof *overrides);
	struct config_sources sources = { .overrides = overrides, .environment = environ };
	struct explain_request request = {
		.target = "/v1/messages",
		.client = "127.0.0.1",
		.headers = headers,
		.overrides = overrides,
	};
	int r = parse_arguments(argc, argv, &request, &sources);

	if (r) {
		fputs(usage, r < 0 ? stderr : stdout);
		return r < 0 ? EXIT_USAGE : 0;
	}
	if (request.from_log)
		return explain_log(&request) < 0 ? EXIT_USAGE : 0;
	return load_and_explain(&sources, &request);
}
