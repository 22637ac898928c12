/*
 * test_account.c - whose request it is, and that its name is safe wherever it goes.
 *
 * The hashes were computed with coreutils' sha256sum.
 */
#include "check.h"
#include "request/account.h"
#include "request/keys.h"
#include "request/request.h"

#define KEY      "sk-ant-api03-test"
#define KEY_NAME "key-9ef01c8966f7f3de"
#define UUID     "0f8fad5b-d9cb-469f-a165-70867728950e"
#define SESSION  "7c9e6679-7425-40de-944b-e07fc1f90ae7"

static struct account_source api_key[] = { { ACCOUNT_API_KEY, NULL }, { ACCOUNT_NONE, NULL } };
static struct account_source uuid[] = { { ACCOUNT_ACCOUNT_UUID, NULL }, { ACCOUNT_NONE, NULL } };
static struct account_source session[] = { { ACCOUNT_SESSION_ID, NULL }, { ACCOUNT_NONE, NULL } };
static struct account_source device[] = { { ACCOUNT_DEVICE_ID, NULL }, { ACCOUNT_NONE, NULL } };
static struct account_source client[] = { { ACCOUNT_CLIENT, NULL }, { ACCOUNT_NONE, NULL } };
static struct account_source header[] = { { ACCOUNT_HEADER, "X-Account" }, { ACCOUNT_NONE, NULL } };
static struct account_source fixed[] = { { ACCOUNT_STATIC, "everybody" }, { ACCOUNT_NONE, NULL } };
static struct account_source several[] = {
	{ ACCOUNT_HEADER, "X-Account" }, { ACCOUNT_ACCOUNT_UUID, NULL }, { ACCOUNT_API_KEY, NULL },
	{ ACCOUNT_STATIC, "rest" },      { ACCOUNT_NONE, NULL },
};
static struct account_source nothing[] = { { ACCOUNT_NONE, NULL } };

struct found {
	char name[ACCOUNT_NAME_MAX];
	enum account_source_kind from;
};

/* With up to two header fields; a NULL name ends them. */
static struct found find(const struct account_source *sources, const char *fields[4],
			 const char *metadata)
{
	struct header list[2];
	struct headers headers = { list, 0 };
	struct config config = { 0 };
	char key[ACCOUNT_KEY_NAME_MAX] = "";
	struct source_evidence evidence = { &headers, key, "9.8.7.6", span_of(metadata) };
	const struct account_source *from;
	struct found found;
	struct keys keys;

	for (size_t i = 0; i < 4 && fields[i]; i += 2)
		list[headers.count++] =
			(struct header){ span_of(fields[i]), span_of(fields[i + 1]) };
	config.account.source = (struct account_source *)(uintptr_t)sources;
	keys_find(&headers, &keys);
	if (keys.first.len)
		account_of_key(keys.first, key);
	account_find(&config, &evidence, found.name, &from);
	found.from = from ? from->kind : ACCOUNT_NONE;
	source_clear(&evidence);
	return found;
}
#define FIND(sources, metadata, ...) find(sources, (const char *[4]){ __VA_ARGS__ }, metadata)

static void test_keys(void)
{
	static const struct {
		const char *fields[4];
		const char *name;
	} rows[] = {
		{ { "x-api-key", KEY }, KEY_NAME },
		{ { "X-API-Key", " " KEY "\t" }, KEY_NAME },
		{ { "authorization", "Bearer " KEY }, KEY_NAME },
		{ { "Authorization", "bearer   " KEY " " }, KEY_NAME },
		{ { "authorization", "Bearer other", "x-api-key", KEY }, KEY_NAME },
		{ { "x-api-key", "", "authorization", "Bearer " KEY }, KEY_NAME },
		{ { "authorization", "Bearer\t" KEY }, KEY_NAME },
		{ { "authorization", "Bearer Bearer " KEY }, KEY_NAME },
		{ { "authorization", KEY }, KEY_NAME },
		{ { "authorization", "Basic " KEY }, KEY_NAME },
		{ { "authorization", "Basic other", "x-goog-api-key", KEY }, KEY_NAME },
		{ { "authorization", "Bearer" }, "default" },
		{ { "authorization", "Bearer  " }, "default" },
		{ { "authorization", "Bearer", "api-key", KEY }, KEY_NAME },
		{ { "x-api-key", "Bearer " KEY }, KEY_NAME },
		{ { "x-api-key", "\xa0" KEY "\xc2\xa0" }, KEY_NAME },
		{ { "x-goog-api-key", KEY }, KEY_NAME },
		{ { "X-Goog-Api-Key", "bearer " KEY }, KEY_NAME },
		{ { "api-key", KEY, "x-goog-api-key", KEY }, KEY_NAME },
		{ { "x-litellm-api-key", "Bearer " KEY }, KEY_NAME },
		{ { "api-key", KEY, "x-litellm-api-key", "other" }, KEY_NAME },
		{ { "x-litellm-api-key", "other", "x-goog-api-key", KEY }, KEY_NAME },
		{ { "x-api-key", KEY, "x-api-key", "other" }, KEY_NAME },
		{ { "x-api-key", "", "x-api-key", KEY }, KEY_NAME },
		{ { "x-api-key", KEY, "Connection", "X-Api-Key" }, "default" },
		{ { "x-api-key", KEY, "Connection", "x-api-keys" }, KEY_NAME },
		{ { "x-api-keys", KEY }, "default" },
		{ { NULL }, "default" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct found found = find(api_key, (const char **)(uintptr_t)rows[i].fields, NULL);

		CHECK_STR(found.name, rows[i].name);
		CHECK_INT(found.from,
			  strcmp(rows[i].name, "default") ? ACCOUNT_API_KEY : ACCOUNT_NONE);
	}
}

/* What of two is told as the other one: where a relay may think otherwise than we do. */
static void test_other_key(void)
{
	static const struct {
		const char *fields[6];
		const char *first, *other;
	} rows[] = {
		{ { "x-api-key", "a" }, "a", "" },
		{ { "x-api-key", "a", "authorization", "Bearer a" }, "a", "" },
		{ { "authorization", "Bearer b", "x-api-key", "a" }, "a", "b" },
		{ { "x-goog-api-key", "b", "authorization", "Bearer a" }, "a", "b" },
		{ { "x-api-key", "a", "x-api-key", "b" }, "a", "b" },
		{ { "x-api-key", "", "x-api-key", "b", "api-key", "a" }, "a", "b" },
		{ { "x-api-key", "a", "authorization", "Basic b" }, "a", "b" },
		{ { "x-api-key", "a", "authorization", "b", "api-key", "c" }, "a", "b" },
		{ { "x-api-key", "b", "Connection", "close, X-Api-Key", "api-key", "a" }, "a", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct header list[3];
		struct headers headers = { list, 0 };
		struct keys keys;

		for (size_t f = 0; f < 6 && rows[i].fields[f]; f += 2)
			list[headers.count++] = (struct header){ span_of(rows[i].fields[f]),
								 span_of(rows[i].fields[f + 1]) };
		keys_find(&headers, &keys);
		CHECK(span_eq(keys.first, span_of(rows[i].first)));
		CHECK(span_eq(keys.other, span_of(rows[i].other)));
	}
}

static void test_hash_key(void)
{
	char name[ACCOUNT_KEY_NAME_MAX];

	account_of_key(SPAN(KEY), name);
	CHECK_STR(name, KEY_NAME);
	account_of_key(SPAN(" " KEY "\r\n"), name); /* as typed, with its end of line */
	CHECK_STR(name, KEY_NAME);
	account_of_key(SPAN(KEY "x"), name);
	CHECK(strcmp(name, KEY_NAME) != 0);
	CHECK_INT(strlen(name), ACCOUNT_KEY_NAME_MAX - 1);
}

/* What `metadata` says, by ' for ", of account and session; NULL: nothing. */
static void test_metadata(void)
{
	static const struct {
		const char *metadata, *account, *session;
	} rows[] = {
		{ "{'user_id':'user_ab_account_" UUID "_session_" SESSION "'}", UUID, SESSION },
		{ "{'user_id':'user_ab_account__session_" SESSION "'}", NULL, SESSION },
		{ "{'user_id':'user_ab_account_" UUID "_session_'}", UUID, NULL },
		{ "{'user_id':'user__account_a_session_b'}", "a", "b" },
		{ "{'user_id':'user_ab_account_" UUID "'}", NULL, NULL },
		{ "{'user_id':'user_ab_account_session_b'}", NULL, NULL },
		{ "{'user_id':'user_ab_session_" SESSION "'}", NULL, NULL },
		{ "{'user_id':'xuser_ab_account_a_session_b'}", NULL, NULL },
		{ "{'user_id':'_account_a_session_b'}", NULL, NULL },
		{ "{'user_id':'{\\'account_uuid\\':\\'" UUID "\\',\\'session_id\\':\\'" SESSION
		  "\\'}'}",
		  UUID, SESSION },
		{ "{'user_id':'{\\'x\\':{},\\'session_id\\':\\'s\\'}'}", NULL, "s" },
		{ "{'user_id':'{\\'account_uuid\\':\\'\\',\\'session_id\\':\\'s\\'}'}", NULL, "s" },
		{ "{'user_id':'{\\'session_id\\':\\'a\\',\\'session_id\\':\\'b\\'}'}", NULL, "b" },
		{ "{'user_id':'{\\'Session_id\\':\\'a\\'}'}", NULL, NULL },
		{ "{'user_id':'{\\'x\\':{\\'session_id\\':\\'a\\'}}'}", NULL, NULL },
		{ "{'user_id':'{\\'session_id\\':7}'}", NULL, NULL },
		{ "{'user_id':'{\\'session_id\\':\\'a\\''}", NULL, NULL },
		{ "{'user_id':'[\\'session_id\\']'}", NULL, NULL },
		{ "{'user_id':'1'}", NULL, NULL },
		{ "{'user_id':''}", NULL, NULL },
		{ "{'user_id':null}", NULL, NULL },
		{ "{'user_id':{'session_id':'a'}}", NULL, NULL },
		{ "{'user_id':'x','user_id':'user_a_account_b_session_c'}", "b", "c" },
		{ "{'user_id':'user_a_account_b_session_c','user_id':1}", NULL, NULL },
		{ "{'user_id':'user_a_account_b_session_c','User_id':'x'}", "b", "c" },
		{ "{'us\\u0065r_id':'user_a_account_b_session_c'}", "b", "c" },
		{ "{'USER_ID':'user_a_account_b_session_c'}", NULL, NULL },
		{ "['user_id']", NULL, NULL },
		{ "'user_id'", NULL, NULL },
		{ "{}", NULL, NULL },
		{ "null", NULL, NULL },
		{ "", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CLEANUP(freep) char *metadata = xstrdup(rows[i].metadata);

		for (char *p = metadata; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		CHECK_STR(FIND(uuid, metadata, NULL).name,
			  rows[i].account ? rows[i].account : "default");
		CHECK_STR(FIND(session, metadata, NULL).name,
			  rows[i].session ? rows[i].session : "default");
		CHECK_INT(FIND(session, metadata, NULL).from,
			  rows[i].session ? ACCOUNT_SESSION_ID : ACCOUNT_NONE);
	}
	CHECK_STR(FIND(uuid, NULL, NULL).name, "default");
}

/* The device of both forms, and the client's address. */
static void test_devices(void)
{
	static const char new_form[] = "{\"user_id\":\"{\\\"device_id\\\":\\\"d1\\\"}\"}";
	static const char old_form[] = "{\"user_id\":\"user_d2_account_a_session_b\"}";

	CHECK_STR(FIND(device, new_form, NULL).name, "d1");
	CHECK_STR(FIND(device, old_form, NULL).name, "d2");
	CHECK_INT(FIND(device, old_form, NULL).from, ACCOUNT_DEVICE_ID);
	CHECK_STR(FIND(device, "{\"user_id\":\"user__account_a_session_b\"}", NULL).name,
		  "default");
	CHECK_STR(FIND(client, NULL, NULL).name, "9.8.7.6");
}

/* Names are for Redis keys, logs and URLs: what isn't safe there is hashed, nothing is cut. */
static void test_safe_names(void)
{
	char longest[ACCOUNT_NAME_MAX + 1], control[] = "a b";
	struct found found, other;

	CHECK_STR(FIND(header, NULL, "x-account", "Team-1_a.b@c:d").name, "Team-1_a.b@c:d");
	CHECK_STR(FIND(header, NULL, "x-account", "  spaced ").name, "spaced");
	CHECK_STR(FIND(header, NULL, "x-account", "a b").name, "h-c8687a08aa5d6ed2");
	CHECK_STR(FIND(header, NULL, "x-account", "..").name, "h-5ec1f7e700f37c3d");
	/* names of our own are nobody's */
	CHECK(!strncmp(FIND(header, NULL, "x-account", ":check").name, "h-", 2));
	CHECK(!strncmp(FIND(header, NULL, "x-account", "observe:x").name, "h-", 2));
	CHECK_STR(FIND(header, NULL, "x-account", "observer").name, "observer");
	CHECK_STR(FIND(header, NULL, "x-account", "...a").name, "...a");
	for (int c = 1; c < 256; c++) {
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z') || strchr("._-@:", c);

		control[1] = (char)c;
		found = FIND(header, NULL, "x-account", control);
		CHECK_INT(!strcmp(found.name, control), plain);
		CHECK_INT(!strncmp(found.name, "h-", 2) && strlen(found.name) == 18, !plain);
	}
	memset(longest, 'a', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	found = FIND(header, NULL, "x-account", longest);
	longest[sizeof longest - 2] = 'b';
	other = FIND(header, NULL, "x-account", longest);
	CHECK_INT(strlen(found.name), 18);
	CHECK(strcmp(found.name, other.name) != 0);
}

/* Invariant 8: whatever the sources are, no credential becomes a name. */
static void test_secrets(void)
{
	static const struct {
		char *source;
		const char *value;
		bool clear;
	} rows[] = {
		{ "x-api-key", "plain-secret", false },
		{ "Authorization", "plain-secret", false },
		{ "Proxy-Authorization", "secret", false },
		{ "COOKIE", "secret", false },
		{ "x-goog-api-key", "secret", false },
		{ "api-key", "secret", false },
		{ "x-litellm-api-key", "secret", false },
		{ "X-Team-Token", "secret", false },
		{ "x-account", KEY, false },
		{ "x-account", "sk-", false },
		{ "x-account",
		  "cr_9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", false },
		{ "x-account", "AIzaSyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v", false },
		{ "x-account", "9f86d081884c7d65", false },
		{ "x-account", "key-9f86d081884c7d65", true }, /* a hash already */
		{ "x-account", "h-9f86d081884c7d65", true },
		{ "x-account", "key-9f86d081884c7d659a2feaa0", false },
		{ "x-account", UUID, false },
		{ "x-account", "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy", false },
		{ "x-account", "8675309-4815162342", false },
		{ "x-account", "qwertyuiopasdfghjklzxcvbn", false },
		{ "x-account", "desk-1", true },
		{ "x-account", "team12", true },
		{ "x-account", "customer:2024-11-30", true },
		{ "x-account", "v2beta", true },
		{ "x-account", "ann.lee@mail.example.com", true },
		{ "x-account", "10.0.0.12:8080", true },
		{ "x-account", "Platform_Engineering.EU-west-1", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct account_source sources[] = { { ACCOUNT_HEADER, rows[i].source },
						    { ACCOUNT_NONE, NULL } };
		struct found found = FIND(sources, NULL, rows[i].source, rows[i].value);

		CHECK_INT(!strncmp(found.name, "h-", 2) && strcmp(found.name, rows[i].value) != 0,
			  !rows[i].clear);
		CHECK_INT(strlen(found.name), rows[i].clear ? strlen(rows[i].value) : 18);
		CHECK_INT(found.from, ACCOUNT_HEADER);
	}
	CHECK_STR(FIND(header, NULL, "x-account", "mine", "connection", "x-account").name,
		  "default");
}

/* A key as metadata's account is none, either; its UUIDs are names. */
static void test_secret_metadata(void)
{
	CHECK_STR(FIND(uuid, "{\"user_id\":\"user_a_account_" UUID "_session_b\"}", NULL).name,
		  UUID);
	CHECK_STR(FIND(uuid, "{\"user_id\":\"user_a_account_sk-ant-1_session_b\"}", NULL).name,
		  "h-1a0712036efdde1e");
	CHECK(!strncmp(FIND(uuid,
			    "{\"user_id\":\"user_a_account_cr_9f86d081884c7d659a2feaa0c55ad015_"
			    "session_b\"}",
			    NULL)
			       .name,
		       "h-", 2));
}

static void test_order(void)
{
	static const char metadata[] = "{\"user_id\":\"user_a_account_b_session_c\"}";
	struct found found = FIND(several, metadata, "x-account", "mine", "x-api-key", KEY);

	CHECK_STR(found.name, "mine");
	CHECK_INT(found.from, ACCOUNT_HEADER);
	found = FIND(several, metadata, "x-account", " ", "x-api-key", KEY);
	CHECK_STR(found.name, "b");
	CHECK_INT(found.from, ACCOUNT_ACCOUNT_UUID);
	found = FIND(several, "{}", "x-api-key", KEY);
	CHECK_STR(found.name, KEY_NAME);
	found = FIND(several, "{}", NULL);
	CHECK_STR(found.name, "rest");
	CHECK_INT(found.from, ACCOUNT_STATIC);
	CHECK_STR(FIND(fixed, NULL, "x-api-key", KEY).name, "everybody");
	CHECK_STR(FIND(nothing, metadata, "x-api-key", KEY).name, "default");
	CHECK_STR(FIND(header, NULL, "x-account", "first", "x-account", "second").name, "first");
}

/* The whole way: from a body to the account of its verdict. */
static void test_verdict(void)
{
	static const char gated[] = "{\"messages\":[{\"role\":\"user\"}],\"metadata\":"
				    "{\"user_id\":\"user_a_account_b_session_c\"}}";
	static const char ungated[] = "{\"messages\":[],\"metadata\":"
				      "{\"user_id\":\"user_a_account_b_session_c\"}}";
	static const char *const texts[] = { gated, ungated };
	struct config config = { .queue = { .enabled = true }, .account = { several } };
	struct headers headers = { NULL, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct span body = span_of(texts[i]);
		struct look *look = look_new(&headers);
		struct request_verdict verdict;

		look_feed(look, body.ptr, body.len);
		look_finish(look, &config, &headers, "", body, &verdict);
		CHECK_STR(verdict.account, "b"); /* also where nobody waits */
		CHECK_INT(verdict.account_from, ACCOUNT_ACCOUNT_UUID);
		look_free(look);
	}
}

int main(void)
{
	test_keys();
	test_other_key();
	test_hash_key();
	test_metadata();
	test_devices();
	test_safe_names();
	test_secrets();
	test_secret_metadata();
	test_order();
	test_verdict();
	return check_done();
}
