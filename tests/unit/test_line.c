/*
 * test_line.c - who stands in line asks for its place: by its own credential or session, and hears of
 * nobody else but how many there are.
 */
#include "exchange_world.h"
#include "request/account.h"
#include "request/kept.h"

static const char path[] = "/.well-known/turnstile/line";

static void ask(const char *method, const char *target, const char *lines)
{
	world_open(NULL);
	world_request(method, target, lines);
	world_received();
}

static const char *got(void)
{
	return buf_str(&world.request.got);
}

static struct outlook_place place_of(const char *session, const char *share)
{
	struct outlook_place p = { .waited_ms = 5000, .estimate_ms = 70000 };

	kept_session(span_of(session), p.session);
	strcpy(p.share, share);
	return p;
}

/* The answer to what was asked, of two that wait. */
static void tell(const struct outlook *o, int64_t age_ms)
{
	struct outlook_query *q = world.outlook;

	must(q);
	world.outlook = NULL;
	q->answered(q, o, age_ms, 0);
	settle();
}

static struct outlook_place places[2];
static struct outlook two = {
	.turns = 1, .running = 1, .waiting = 2, .places = places, .count = 2
};

static void check_told(const char *text)
{
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_LINE_ASKED);
	CHECK_INT(world.request.status, 200);
	CHECK_STR(got(), text);
	CHECK_INT(world.transfers, 0); /* the upstream hears nothing of it */
	CHECK_INT(proxy_refusals(world.proxy)->count, 0);
	world_close();
}

static void test_session(void)
{
	char key[ACCOUNT_KEY_NAME_MAX];
	CLEANUP(freep) char *json = NULL;

	account_of_key(SPAN("sk-1"), key);
	ask("GET", "/.well-known/turnstile/line?x=y&session=s-2", "Host: h\nX-Api-Key: sk-1\n");
	CHECK_STR(world.outlook->account, key);
	tell(&two, 0);
	json = xasprintf("{\"account\":\"%s\",\"turns\":1,\"running\":1,\"waiting\":2,\"mine\":[{"
			 "\"position\":2,\"of\":2,\"waited_ms\":5000,\"estimate_ms\":70000,"
			 "\"share\":\"u-2\"}],\"held\":null}\n",
			 key);
	CHECK(strstr(buf_str(&world.request.names), "content-type: application/json\n"));
	CHECK(strstr(buf_str(&world.request.names), "cache-control: no-store\n"));
	check_told(json);
}

/* What was known a while ago has gone on since. */
static void test_age(void)
{
	ask("GET", "/.well-known/turnstile/line?session=s-1",
	    "Host: h\nX-Api-Key: sk-1\nAccept: text/plain\n");
	tell(&two, 900);
	check_told("in line: 1 of 2, about 69 s (waited 6 s)\n");
}

/* A key alone tells of nobody else's session and share, whoever has the same account. */
static void test_key(const char *target)
{
	CLEANUP(freep) char *json = NULL;
	char key[ACCOUNT_KEY_NAME_MAX];

	account_of_key(SPAN("sk-1"), key);
	ask("GET", target, "Host: h\nAuthorization: Bearer sk-1\n");
	tell(&two, 0);
	json = xasprintf("{\"account\":\"%s\",\"turns\":1,\"running\":1,\"waiting\":2,\"mine\":[],"
			 "\"held\":null}\n",
			 key);
	check_told(json);
}

/* Of a session that isn't here, nobody knows whose line it is in. */
static void test_unknown_session(void)
{
	ask("GET", "/.well-known/turnstile/line?session=s-2", "Host: h\n");
	check_told("{\"account\":null,\"turns\":1,\"running\":0,\"waiting\":0,\"mine\":[],\"held\":"
		   "null}\n");
}

static void test_nobody(const char *target)
{
	ask("GET", target, "Host: h\nOrigin: http://example.org\n");
	world_check_over();
	CHECK_INT(world_outcome(), OUTCOME_LINE_UNKNOWN);
	CHECK_INT(world.request.status, 401);
	CHECK(strstr(got(), "\"authentication_error\""));
	CHECK(strstr(buf_str(&world.request.names), "access-control-allow-origin: *\n"));
	CHECK_INT(proxy_refusals(world.proxy)->count, 0); /* it was no request for the upstream */
	world_close();
}

static void test_held(void)
{
	struct outlook held = two;

	held.hold = HOLD_QUOTA;
	held.hold_until_ms = 1797000000123;
	ask("GET", path, "Host: h\nX-Api-Key: sk-1\n");
	tell(&held, 0);
	CHECK(strstr(got(), "\"held\":{\"reason\":\"quota\",\"until\":\"2026-12-11T14:40:00Z\"}"));
	world_close();
	held.paused = true;
	places[0].estimate_ms = -1;
	ask("GET", "/.well-known/turnstile/line?session=s-1",
	    "Host: h\nX-Api-Key: sk-1\nAccept: text/plain\n");
	tell(&held, 0);
	check_told("in line: 1 of 2 (waited 5 s); the account is paused\n");
	places[0].estimate_ms = 70000;
}

static void test_failure(int error, enum outcome outcome)
{
	ask("GET", path, "Host: h\nX-Api-Key: sk-1\n");
	world.outlook->answered(steal(&world.outlook), NULL, 0, error);
	settle();
	world_check_over();
	CHECK_INT(world_outcome(), outcome);
	world_close();
}

/* It hangs up before the answer. */
static void test_left(void)
{
	ask("GET", path, "Host: h\nX-Api-Key: sk-1\n");
	CHECK(world.outlook);
	world_hang_up();
	world_check_over();
	CHECK(!world.outlook);
	world_close();
}

static void test_script(void)
{
	ask("GET", "/.well-known/turnstile/line/statusline", "Host: h\n");
	world_check_over();
	CHECK(!strncmp(got(), "#!/bin/sh\n", 10));
	CHECK(strstr(got(), "\"${url%/}/.well-known/turnstile/line?session=$session\""));
	CHECK(!strstr(got(), "LINE_PATH"));
	CHECK_INT(world_outcome(), OUTCOME_LINE_ASKED);
	world_close();
}

/* A browser's question before the question. */
static void test_preflight(void)
{
	ask("OPTIONS", "/.well-known/turnstile/line",
	    "Host: h\nAccess-Control-Request-Method: GET\n");
	check_told("");
}

/* Whatever else is said there is the upstream's to answer. */
static void test_not_asked(const char *const *overrides, const char *method, const char *target)
{
	world_open(overrides);
	world_request(method, target, "Host: h\nX-Api-Key: sk-1\n");
	world_received();
	CHECK_INT(world.transfers, 1);
	world_hang_up();
	world_close();
}

int main(void)
{
	static const char *const off[] = { "listen.line_path=", NULL };
	static const char *const moved[] = { "listen.line_path=/line", NULL };

	places[0] = place_of("s-1", "u-1");
	places[1] = place_of("s-2", "u-2");
	test_session();
	test_age();
	test_key(path);
	test_key("/.well-known/turnstile/line?session=");
	test_key("/.well-known/turnstile/line?session=s-2%41");
	test_unknown_session();
	test_nobody(path);
	test_nobody("/.well-known/turnstile/line?session=../x");
	test_held();
	test_failure(-EBUSY, OUTCOME_LINE_BUSY);
	test_failure(-ENOTCONN, OUTCOME_BACKEND_ERROR);
	test_left();
	test_script();
	test_preflight();
	test_not_asked(NULL, "POST", path);
	test_not_asked(NULL, "GET", "/.well-known/turnstile/lines");
	test_not_asked(NULL, "GET", "/.well-known/turnstile/line/");
	test_not_asked(NULL, "GET", "/v1/models");
	test_not_asked(off, "GET", path);
	test_not_asked(off, "GET", "/statusline");
	test_not_asked(moved, "GET", path);
	return check_done();
}
