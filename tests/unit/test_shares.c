/*
 * test_shares.c - the sections [share "NAME"], whose a request is within its account, and by what it is
 * known when it comes again.
 */
#include <errno.h>

#include "config/shares.h"
#include "config_run.h"
#include "request/request.h"

#define KEY    "sk-ant-api03-test"
#define KEY_12 "9ef01c8966f7" /* its hash's begin, by coreutils' sha256sum, as all here */
#define KEY_1  "key-0123456789abcdef"
#define KEY_2  "key-fedcba9876543210"
#define DEVICE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PROMPT "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"model\":\"m-1\""
#define USER_ID(device, session)                                      \
	",\"metadata\":{\"user_id\":\"{\\\"device_id\\\":\\\"" device \
	"\\\",\\\"session_id\\\":\\\"" session "\\\"}\"}"

static const char sections[] = "[share \"alice\"] ; a person\n"
			       "keys = " KEY_1 ", " KEY_2 "\n"
			       "devices = " DEVICE ", u-0123456789ab\n"
			       "weight = 2.5\n"
			       "yield = title, model:m-*\n"
			       "[ share  \"b@example.com\" ]\n"
			       "exempt =\n"
			       "[queue]\n"
			       "yield = loop\n";

/* --- sections --------------------------------------------------------------------------------- */

static void check_sections(const struct config *c)
{
	struct share_terms terms;

	share_terms_of(c, "alice", &terms);
	CHECK(terms.weight == 2.5);
	CHECK_INT(terms.yield[0].kind, MARK_TITLE);
	CHECK_INT(terms.yield[1].kind, MARK_MODEL);
	CHECK(terms.exempt == c->queue.exempt);
	share_terms_of(c, "b@example.com", &terms);
	CHECK(terms.weight == 1);
	CHECK_INT(terms.exempt[0].kind, MARK_NONE);
	CHECK_INT(terms.yield[0].kind, MARK_LOOP);
	share_terms_of(c, "u-ffffffffffff", &terms);
	CHECK(terms.weight == 1);
	CHECK(terms.exempt == c->queue.exempt && terms.yield == c->queue.yield);
	CHECK_STR(share_of_key(c, KEY_1), "alice");
	CHECK_STR(share_of_key(c, KEY_2), "alice");
	CHECK_STR(share_of_device(c, DEVICE), "alice");
	CHECK_STR(share_of_device(c, "u-0123456789ab"), "alice");
	CHECK(!share_of_key(c, "key-0123456789abcde0"));
	CHECK(!share_of_device(c, "a"));
	CHECK_STR(share_of_name(c, SPAN("b@example.com")), "b@example.com");
	CHECK(!share_of_name(c, SPAN("b")));
}

static void test_sections(void)
{
	struct run run = load(sections, NULL, NULL), again;
	CLEANUP(freep) char *text = NULL;

	CHECK_STR(buf_str(&run.errors), "");
	CHECK_INT(run.result, 0);
	check_sections(run.config);
	text = printed(run.config);
	again = load(text, NULL, NULL);
	CHECK_STR(buf_str(&again.errors), "");
	check_sections(again.config);
	end(&again);
	end(&run);
}

static void test_reload(void)
{
	struct run live = load(NULL, NULL, NULL), fresh = load(sections, NULL, NULL);
	struct buf errors = { 0 };

	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), 0);
	check_sections(live.config);
	end(&fresh);
	/* one that is refused changes no section either */
	fresh = load("[upstream]\nurl = http://other\n", NULL, NULL);
	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), -EINVAL);
	check_sections(live.config);
	end(&fresh);
	fresh = load(NULL, NULL, NULL);
	CHECK_INT(config_reload(live.config, steal(&fresh.config), &errors), 0);
	CHECK(!share_of_key(live.config, KEY_1));
	end(&fresh);
	end(&live);
	buf_clear(&errors);
}

#define PLACE "t.ini:2: [share \"a\"] "
#define BAD_NAME                                                                       \
	"[share \"…\"] is no name; allowed: 1 to 64 of letters, digits, \"._-@:\", " \
	"and no API key, nor a hash of one\n"
#define BAD_KEY                                                                        \
	"holds what is no key's hash; allowed: key-<16 hex digits>, … as turnstile " \
	"hash-key prints them\n"
#define BAD_DEVICE                                                                      \
	"holds what is no device; allowed: device_id of the client's metadata, or its " \
	"name u-<12 hex digits> in the log, …\n"
#define BAD_WEIGHT "is no weight; allowed: a number from 0.01 to 100\n"
#define MARKS                                                                             \
	"; allowed: probe, title, subagent, classifier, notification, loop, compaction, " \
	"auxiliary, workflow, header:NAME=VALUE, model:PATTERN\n"
#define LONG_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *ini, *errors;
} wrong[] = {
	{ "[share \"a\"]\nkeys = key-123\n", PLACE "keys: " BAD_KEY },
	{ "[share \"a\"]\nkeys = sk-ant-api03-secret\n", PLACE "keys: " BAD_KEY },
	{ "[share \"a\"]\ndevices = a b\n", PLACE "devices: " BAD_DEVICE },
	{ "[share \"a\"]\ndevices =\n", PLACE "devices: " BAD_DEVICE },
	{ "[share \"a\"]\nweight = 0\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = 0.009\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = 100.1\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = -1\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = 1e1\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = 1.2.3\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = .\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = nan\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight =\n", PLACE "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\nweight = 1\nweight = 1\n",
	  "t.ini:3: [share \"a\"] weight: is set twice\n" },
	{ "[share \"a\"]\nyield = titles\n", PLACE "yield: \"titles\" is none of them" MARKS },
	{ "[share \"a\"]\nexempt =\nexempt =\n", "t.ini:3: [share \"a\"] exempt: is set twice\n" },
	{ "[share \"a\"]\nkey = " KEY_1 "\n",
	  PLACE "key: there is no such option; allowed: keys, devices, weight, yield, exempt\n" },
	{ "[share \"\"]\n", "t.ini:1: " BAD_NAME },
	{ "[share \"-\"]\n", "t.ini:1: " BAD_NAME },
	{ "[share \"a b\"]\nweight = x\n",
	  "t.ini:1: " BAD_NAME "t.ini:2: [share \"…\"] weight: " BAD_WEIGHT },
	{ "[share \"sk-ant-api03-secret\"]\n", "t.ini:1: " BAD_NAME },
	{ "[share \"u-0123456789ab\"]\n", "t.ini:1: " BAD_NAME },
	{ "[share \"" KEY_1 "\"]\n", "t.ini:1: " BAD_NAME },
	{ "[share \"a" LONG_64 "\"]\n", "t.ini:1: " BAD_NAME },
	{ "[shares \"a\"]\nweight = 2\n",
	  "t.ini:1: [shares \"a\"]: there is no such section; did you mean [share \"a\"]?\n" },
	{ "[share a]\nweight = 0\n",
	  "t.ini:1: [share a]: there is no such section; did you mean [share \"a\"]?\n" PLACE
	  "weight: " BAD_WEIGHT },
	{ "[share \"a\"]\n[share \"a\"]\n",
	  "t.ini:2: [share \"a\"] is there already: t.ini:1: [share \"a\"]\n" },
	/* who it is must be clear */
	{ "[share \"a\"]\nkeys = " KEY_1 "\n[share \"b\"]\nkeys = " KEY_2 ", " KEY_1 "\n",
	  "t.ini:3: [share \"b\"]: " KEY_1
	  " belongs to another share already: t.ini:1: [share \"a\"]\n" },
	{ "[share \"a\"]\nkeys = " KEY_1 "\nkeys = " KEY_1 "\n",
	  "t.ini:1: [share \"a\"]: " KEY_1 " is there twice\n" },
	{ "[share \"a\"]\ndevices = x\n[share \"b\"]\ndevices = x\n",
	  "t.ini:3: [share \"b\"]: x belongs to another share already: t.ini:1: [share \"a\"]\n" },
	{ "[queue]\nshare_by = client\n[share \"a\"]\nkeys = " KEY_1 "\ndevices = x\n",
	  "t.ini:3: [share \"a\"]: has keys, but queue.share_by has no api-key: they would never "
	  "count\n"
	  "t.ini:3: [share \"a\"]: has devices, but queue.share_by has no metadata.device_id: they "
	  "would never count\n" },
	/* all at once, and what a wrong option seems to say isn't held against others */
	{ "[queue]\nshare_by = nobody\n[share \"a\"]\nkeys = " KEY_1 "\nweight = 0\n",
	  "t.ini:5: [share \"a\"] weight: " BAD_WEIGHT
	  "t.ini:2: queue.share_by: \"nobody\" is none of them; allowed: header:NAME, api-key, "
	  "metadata.account_uuid, metadata.session_id, metadata.device_id, client, static:NAME\n" },
};

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* Whether `all` has every line of `want`, in whatever order, and no more. */
static bool same_lines(const char *all, const char *want)
{
	struct span rest = span_of(want), line;

	while (span_next(&rest, '\n', &line)) {
		if (line.len && !memmem(all, strlen(all), line.ptr, line.len))
			return false;
	}
	return lines_of(all) == lines_of(want);
}

static void test_wrong(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct run run = load(wrong[i].ini, NULL, NULL);

		CHECK_INT(run.result, -EINVAL);
		if (!same_lines(buf_str(&run.errors), wrong[i].errors))
			CHECK_STR(buf_str(&run.errors), wrong[i].errors);
		end(&run);
	}
}

/* --- whose is it? ----------------------------------------------------------------------------- */

static struct request_verdict judge(const struct config *config, const struct header *fields,
				    size_t count, const char *body)
{
	struct headers headers = { fields, count };
	struct look *look = look_new(&headers);
	struct request_verdict v;

	look_feed(look, body, strlen(body));
	look_finish(look, config, &headers, "10.0.0.9", span_of(body), &v);
	look_free(look);
	return v;
}

static const struct {
	const char *ini, *body, *fields[4], *account, *share;
} finds[] = {
	/* the key, where it didn't name the account */
	{ "source = static:team\n", PROMPT "}", { "x-api-key", KEY }, "team", "u-" KEY_12 },
	{ "source = static:team\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "u-" KEY_12 },
	/* else the device, the session, the client */
	{ "", PROMPT USER_ID("d", "s") "}", { "x-api-key", KEY }, NULL, "u-18ac3e7343f0" },
	{ "", PROMPT USER_ID("", "s") "}", { "x-api-key", KEY }, NULL, "u-043a718774c5" },
	{ "", PROMPT "}", { "x-api-key", KEY }, NULL, "u-232337896e54" },
	{ "source = metadata.session_id\n",
	  PROMPT USER_ID("", "s") "}",
	  { NULL },
	  "s",
	  "u-232337896e54" },
	{ "source = client\n[queue]\nshare_by = client\n", PROMPT "}", { NULL }, "10.0.0.9", "" },
	/* an account of several keys is told apart by them, one of a single key isn't */
	{ "source = api-key\n[account \"team\"]\nkeys = key-9ef01c8966f7f3de, " KEY_1 "\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "u-" KEY_12 },
	{ "source = api-key\n[account \"team\"]\nkeys = key-9ef01c8966f7f3de\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "u-18ac3e7343f0" },
	/* sections: by key, also where it named the account; by device; by a header */
	{ "source = api-key\n[share \"alice\"]\nkeys = key-9ef01c8966f7f3de\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  NULL,
	  "alice" },
	{ "source = static:team\n[share \"alice\"]\ndevices = d\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "alice" },
	{ "source = static:team\n[share \"alice\"]\ndevices = u-18ac3e7343f0\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "alice" },
	{ "source = static:team\n[share \"ann\"]\nkeys = key-9ef01c8966f7f3de\n[share \"dan\"]\n"
	  "devices = d\n",
	  PROMPT USER_ID("d", "s") "}",
	  { "x-api-key", KEY },
	  "team",
	  "ann" },
	{ "source = static:team\n[queue]\nshare_by = header:X-User\n[share \"bob\"]\n",
	  PROMPT "}",
	  { "x-user", "bob" },
	  "team",
	  "bob" },
	{ "source = static:team\n[queue]\nshare_by = header:X-User\n[share \"bob\"]\n",
	  PROMPT "}",
	  { "x-user", "bo" },
	  "team",
	  "u-3d099d0f13df" },
	{ "source = static:team\n[queue]\nshare_by = header:X-User\n",
	  PROMPT "}",
	  { "x-user", "bob", "connection", "x-user" },
	  "team",
	  "" },
	{ "source = static:team\ntrusted_proxies = 10.1.0.0/16\n[queue]\nshare_by = header:X-User\n",
	  PROMPT "}",
	  { "x-user", "bob" },
	  "team",
	  "" },
	/* a header tells nobody apart in the account that it named, another one does */
	{ "source = header:X-Team\n[queue]\nshare_by = header:X-Team\n",
	  PROMPT "}",
	  { "x-team", "t" },
	  "t",
	  "" },
	{ "source = header:X-Team\n[queue]\nshare_by = header:x-team, header:X-User\n",
	  PROMPT "}",
	  { "x-team", "t", "x-user", "bo" },
	  "t",
	  "u-3d099d0f13df" },
	/* behind a trusted proxy the client is the client */
	{ "source = static:team\ntrusted_proxies = 10.0.0.0/8\n[queue]\nshare_by = client\n",
	  PROMPT "}",
	  { "x-forwarded-for", "9.9.9.9, 10.0.0.1" },
	  "team",
	  "u-1a22570d6105" },
};

static void test_finds(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(finds); i++) {
		CLEANUP(freep) char *ini = xasprintf("[account]\n%s", finds[i].ini);
		struct run run = load(ini, NULL, NULL);
		struct header fields[2];
		struct request_verdict v;
		size_t count = 0;

		CHECK_STR(buf_str(&run.errors), "");
		for (; count < 2 && finds[i].fields[2 * count]; count++)
			fields[count] = (struct header){ span_of(finds[i].fields[2 * count]),
							 span_of(finds[i].fields[2 * count + 1]) };
		v = judge(run.config, fields, count, finds[i].body);
		if (strcmp(v.share, finds[i].share) != 0)
			fprintf(stderr, "row %zu:\n", i);
		CHECK_STR(v.share, finds[i].share);
		CHECK_STR(v.account, finds[i].account ? finds[i].account : "key-9ef01c8966f7f3de");
		end(&run);
	}
}

/* What a section makes of a mark, and what a verdict says of the rest. */
static void test_standing(void)
{
	static const char ini[] = "[account]\nsource = static:team\n"
				  "[share \"alice\"]\nkeys = key-9ef01c8966f7f3de\nweight = 3\n"
				  "yield = model:m-1\nexempt = subagent\n";
	static const char body[] = PROMPT USER_ID("d", "s") ",\"stream\":true}";
	const struct header of_agent[] = { { SPAN("x-claude-code-agent-id"), SPAN("a1") },
					   { SPAN("x-api-key"), SPAN(KEY) } };
	struct run run = load(ini, NULL, NULL);
	struct request_verdict v;

	v = judge(run.config, of_agent, 1, body); /* without the key: nobody's, by queue.yield */
	CHECK(v.gated && v.yields && v.weight == 1 && v.stream);
	CHECK_STR(v.mark, "subagent");
	CHECK_STR(v.model, "m-1");
	CHECK_STR(v.session, "043a718774c572bd");
	v = judge(run.config, of_agent, 2, body);
	CHECK_STR(v.reason, "exempt_subagent");
	CHECK_INT(v.exempt, 1);
	v = judge(run.config, of_agent + 1, 1, body);
	CHECK(v.gated && v.yields && v.weight == 3);
	CHECK_STR(v.mark, "model");
	v = judge(run.config, of_agent + 1, 1, PROMPT ",\"model\":\"a b\",\"stream\":1}");
	CHECK(v.gated && !v.yields && !v.stream);
	CHECK_STR(v.mark, "");
	CHECK_STR(v.model, "");
	CHECK_STR(v.session, "");
	v = judge(run.config, of_agent + 1, 1, "{\"messages\":[]}");
	CHECK(!v.gated && !v.yields);
	CHECK_STR(v.share, "");
	CHECK_STR(v.keep_key, "");
	end(&run);
}

/* --- is it the same again? -------------------------------------------------------------------- */

struct again {
	const char *key, *prompt, *agent, *session;
	const char *body;
};

static void keep_key_of(const struct config *config, const struct again *a, char ret[KEPT_KEY_MAX])
{
	const struct header fields[] = {
		{ SPAN("x-api-key"), span_of(a->key) },
		{ SPAN("x-claude-code-prompt-id"), span_of(a->prompt) },
		{ SPAN("x-claude-code-agent-id"), span_of(a->agent) },
		{ SPAN("x-claude-code-session-id"), span_of(a->session) },
	};

	strcpy(ret, judge(config, fields, ARRAY_SIZE(fields), a->body).keep_key);
	CHECK_INT(strlen(ret), KEPT_KEY_MAX - 1);
}

static void test_again(void)
{
	static const struct {
		struct again first, second;
		bool same;
	} rows[] = {
		/* with a prompt's id, the body doesn't matter */
		{ { KEY, "p1", "", "s", PROMPT ",\"stream\":true}" },
		  { KEY, "p1", "", "s", PROMPT ",\"stream\":false,\"max_tokens\":9}" },
		  true },
		{ { KEY, "p1", "", "s", PROMPT "}" }, { KEY, "p2", "", "s", PROMPT "}" }, false },
		{ { KEY, "p1", "a1", "s", PROMPT "}" },
		  { KEY, "p1", "a2", "s", PROMPT "}" },
		  false },
		{ { KEY, "p1", "", "s", PROMPT "}" }, { KEY, "p1", "a1", "s", PROMPT "}" }, false },
		/* without, the session and the body do */
		{ { KEY, "", "", "s", PROMPT "}" }, { KEY, "", "", "s", PROMPT "}" }, true },
		{ { KEY, "", "", "s", PROMPT "}" }, { KEY, "", "", "t", PROMPT "}" }, false },
		{ { KEY, "", "", "s", PROMPT "}" }, { KEY, "", "", "s", PROMPT " }" }, false },
		{ { KEY, "", "", "", PROMPT "}" }, { KEY, "", "", "", PROMPT "}" }, true },
		{ { KEY, "", "", "", PROMPT USER_ID("d", "s") "}" },
		  { KEY, "", "", "s", PROMPT USER_ID("d", "s") "}" },
		  true },
		/* nobody else's */
		{ { KEY, "p1", "", "s", PROMPT "}" }, { "k", "p1", "", "s", PROMPT "}" }, false },
		{ { KEY, "", "", "s", PROMPT "}" }, { "k", "", "", "s", PROMPT "}" }, false },
		{ { KEY, "", "", "s", PROMPT "}" }, { KEY, "s", "", "", PROMPT "}" }, false },
	};
	const char *const overrides[] = { "account.source=static:team", NULL };
	struct run run = load(NULL, NULL, overrides);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char first[KEPT_KEY_MAX], second[KEPT_KEY_MAX];

		keep_key_of(run.config, &rows[i].first, first);
		keep_key_of(run.config, &rows[i].second, second);
		if (!strcmp(first, second) != rows[i].same)
			fprintf(stderr, "row %zu:\n", i);
		CHECK_INT(!strcmp(first, second), rows[i].same);
	}
	end(&run);
}

/* Bodies of any size: the same is the same, and what differs at an end or in length isn't. */
static void test_long_bodies(void)
{
	static const size_t sizes[] = { 1,      100,     KEPT_WHOLE - 1, KEPT_WHOLE, KEPT_WHOLE + 1,
					100000, 20 << 20 };
	struct headers none = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		CLEANUP(freep) char *body = xcalloc(sizes[i] + 1, 1);
		struct kept_evidence e = { "a", "", &none, { NULL, 0 }, { body, sizes[i] } };
		char first[KEPT_KEY_MAX], second[KEPT_KEY_MAX];
		int64_t start = clock_ms();

		memset(body, 'x', sizes[i]);
		kept_key(&e, first);
		kept_key(&e, second);
		CHECK_STR(first, second);
		body[sizes[i] - 1] = 'y';
		kept_key(&e, second);
		CHECK(strcmp(first, second) != 0);
		body[sizes[i] - 1] = 'x';
		body[0] = 'y';
		kept_key(&e, second);
		CHECK(strcmp(first, second) != 0);
		body[0] = 'x';
		e.body.len--;
		kept_key(&e, second);
		CHECK(strcmp(first, second) != 0);
		CHECK(clock_ms() - start < LATE_MS);
	}
}

int main(void)
{
	work_begin();
	test_sections();
	test_reload();
	test_wrong();
	test_finds();
	test_standing();
	test_again();
	test_long_bodies();
	work_end();
	return check_done();
}
