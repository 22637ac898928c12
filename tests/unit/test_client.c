/*
 * test_client.c - whose address is it, behind proxies?
 */
#include "request/client.h"

#include "check.h"

static const struct {
	const char *peer, *want;
	const char *fields[8]; /* name, value, … */
} cases[] = {
	{ "198.51.100.1", "198.51.100.1", { "X-Forwarded-For", "203.0.113.9" } },
	{ "10.0.0.2", "10.0.0.2", { NULL } },
	{ "10.0.0.2", "203.0.113.9", { "x-forwarded-for", "203.0.113.9" } },
	{ "10.0.0.2", "203.0.113.9", { "X-Forwarded-For", "203.0.113.9, 10.0.0.8" } },
	/* what a client made up stands before what the first proxy appended */
	{ "10.0.0.2", "203.0.113.9", { "X-Forwarded-For", "10.9.9.9,203.0.113.9 ,10.0.0.8" } },
	{ "10.0.0.2",
	  "203.0.113.9",
	  { "X-Forwarded-For", "1.1.1.1", "X-Forwarded-For", "203.0.113.9" } },
	{ "10.0.0.2",
	  "203.0.113.9",
	  { "X-Forwarded-For", "203.0.113.9", "Via", "x", "X-Forwarded-For", "10.0.0.8" } },
	{ "10.0.0.2", "10.0.0.9", { "X-Forwarded-For", "10.0.0.9, 10.0.0.8" } },
	{ "10.0.0.2", "10.0.0.8", { "X-Forwarded-For", "203.0.113.9, unknown, 10.0.0.8" } },
	{ "10.0.0.2", "10.0.0.2", { "X-Forwarded-For", "" } },
	{ "10.0.0.2", "203.0.113.9", { "X-Forwarded-For", "203.0.113.9, ," } },
	{ "10.0.0.2", "203.0.113.9", { "X-Forwarded-For", "203.0.113.9:4711" } },
	{ "10.0.0.2", "2001:db8::1", { "X-Forwarded-For", "[2001:db8::1]:4711" } },
	{ "10.0.0.2", "2001:db8::1", { "X-Forwarded-For", "2001:db8::1" } },
	{ "10.0.0.2", "10.0.0.2", { "X-Forwarded-For", "[2001:db8::1" } },
	{ "", "203.0.113.9", { "X-Forwarded-For", "203.0.113.9" } },
	{ "::ffff:10.0.0.2", "203.0.113.9", { "X-Forwarded-For", "203.0.113.9" } },
	{ "10.0.0.2", "203.0.113.9", { "Forwarded", "for=203.0.113.9;proto=http;by=10.0.0.2" } },
	{ "10.0.0.2", "2001:db8::1", { "Forwarded", "proto=http; For=\"[2001:db8::1]:4711\"" } },
	{ "10.0.0.2",
	  "203.0.113.9",
	  { "Forwarded", "for=1.1.1.1, for=203.0.113.9, for=10.0.0.8" } },
	{ "10.0.0.2", "203.0.113.9", { "Forwarded", "for=\"_a,b\", for=203.0.113.9" } },
	{ "10.0.0.2", "10.0.0.2", { "Forwarded", "for=_hidden" } },
	{ "10.0.0.2", "10.0.0.2", { "Forwarded", "proto=https" } },
	{ "10.0.0.2",
	  "203.0.113.9",
	  { "Forwarded", "for=1.1.1.1", "X-Forwarded-For", "203.0.113.9" } },
};

static void check(const struct address_range *trusted, size_t i, const char *want)
{
	struct header fields[4];
	struct headers headers = { fields, 0 };
	char got[CLIENT_ADDRESS_MAX];

	for (const char *const *f = cases[i].fields; *f; f += 2)
		fields[headers.count++] = (struct header){ span_of(f[0]), span_of(f[1]) };
	client_find(trusted, &headers, cases[i].peer, got);
	CHECK_STR(got, want);
}

int main(void)
{
	struct address_range trusted[3] = { 0 }, nobody = { 0 };
	struct buf why = { 0 };

	must(!address_range_parse(SPAN("10.0.0.0/8"), &trusted[0], &why));
	must(!address_range_parse(SPAN("unix"), &trusted[1], &why));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		check(trusted, i, cases[i].want);
		check(&nobody, i, cases[i].peer);
	}
	return check_done();
}
