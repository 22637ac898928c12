#include "redis/find.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "redis/guard.h"

enum { CONNECT_TIMEOUT_MIN_MS = 50 };

/* While its work runs, the pool's thread has all of it but `fn` and `arg`, which are the loop's. */
struct redis_find {
	uv_work_t work;
	struct redis_address address;
	unsigned attempt;
	int64_t timeout_ms;
	char error[128]; /* empty: `endpoint` is found */
	struct redis_endpoint endpoint;

	redis_found_fn fn; /* NULL: cancelled */
	void *arg;
};

/* --- on the pool's thread ---------------------------------------------------------------- */

/* The time for one of `n` places; one share is left for who connects in the end. */
static int64_t one_of_ms(const struct redis_find *f, size_t n)
{
	return MAX(f->timeout_ms / (int64_t)(n + 1), CONNECT_TIMEOUT_MIN_MS);
}

static bool is_open(const char *ip, int port, int64_t timeout_ms)
{
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	redisContext *c = redisConnectWithTimeout(ip, port, limit);
	bool ret = c && !c->err;

	if (c)
		redisFree(c);
	return ret;
}

static bool name_of(struct redis_find *f, const struct addrinfo *ai)
{
	int r = getnameinfo(ai->ai_addr, ai->ai_addrlen, f->endpoint.ip, sizeof f->endpoint.ip,
			    NULL, 0, NI_NUMERICHOST);

	if (r)
		snprintf(f->error, sizeof f->error, "%s", gai_strerror(r));
	return r == 0;
}

/*
 * Of several addresses the first that takes a connection ("localhost" is two on most machines, and
 * Redis may listen on one of them), beginning with the `begin`th; the last one tried if none does.
 */
static void choose(struct redis_find *f, const struct addrinfo *found, unsigned begin)
{
	const struct addrinfo *ai = found;
	unsigned n = 0;

	for (; ai; ai = ai->ai_next)
		n++;
	ai = found;
	for (unsigned skip = begin % n; skip; skip--)
		ai = ai->ai_next;
	for (unsigned i = 0; i < n && name_of(f, ai); i++) {
		if (n == 1 || is_open(f->endpoint.ip, f->endpoint.port, one_of_ms(f, n)))
			return;
		ai = ai->ai_next ? ai->ai_next : found;
	}
}

static void resolve(struct redis_find *f, const char *host, int port, unsigned begin)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int r = getaddrinfo(host, NULL, &hints, &found);

	if (r) {
		snprintf(f->error, sizeof f->error, "%s", gai_strerror(r));
		return;
	}
	f->endpoint.port = port;
	choose(f, found, begin);
	freeaddrinfo(found);
}

static bool is_endpoint(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	       r->element[0]->type == REDIS_REPLY_STRING &&
	       r->element[1]->type == REDIS_REPLY_STRING;
}

/* True if this sentinel names the master, whether or not that can be resolved. */
static bool take_master(struct redis_find *f, const redisReply *r)
{
	if (r->type == REDIS_REPLY_ERROR) {
		snprintf(f->error, sizeof f->error, "sentinel: %s", r->str);
		return false;
	}
	if (!is_endpoint(r)) {
		snprintf(f->error, sizeof f->error, "sentinels know no master %s",
			 f->address.master);
		return false;
	}
	f->error[0] = '\0';
	resolve(f, r->element[0]->str, (int)strtol(r->element[1]->str, NULL, 10), 0);
	return true;
}

static bool ask_sentinel(struct redis_find *f, const struct redis_host *at)
{
	int64_t ms = one_of_ms(f, f->address.sentinel_count);
	struct timeval io = { ms / 1000, ms % 1000 * 1000 };
	redisContext *c = redisConnectWithTimeout(at->name, at->port, io);
	struct redis_guard guard = { .replies = 1 };
	redisReply *r = NULL;
	bool found = false;

	if (c && !c->err)
		redis_guard_start(&guard, c);
	if (c && !c->err && redisSetTimeout(c, io) == REDIS_OK)
		r = redisCommand(c, "SENTINEL get-master-addr-by-name %s", f->address.master);
	if (r) {
		found = take_master(f, r);
		freeReplyObject(r);
	}
	if (c)
		redisFree(c);
	return found;
}

static void search(uv_work_t *work)
{
	struct redis_find *f = container_of(work, struct redis_find, work);
	const struct redis_address *a = &f->address;

	if (!a->master) {
		resolve(f, a->host, a->port, f->attempt);
		return;
	}
	snprintf(f->error, sizeof f->error, "no sentinel answers");
	for (size_t i = 0; i < a->sentinel_count; i++) {
		if (ask_sentinel(f, &a->sentinels[(f->attempt + i) % a->sentinel_count]))
			return;
	}
}

char *redis_endpoint_text(const struct redis_address *a, const struct redis_endpoint *to)
{
	if (a->path || (a->master && !to->port))
		return xstrdup(a->path ? a->path : a->master);
	return to->port ? xasprintf("%s:%d", to->ip, to->port)
			: xasprintf("%s:%d", a->host, a->port);
}

/* --- on the loop ------------------------------------------------------------------------- */

static void searched(uv_work_t *work, int status)
{
	struct redis_find *f = container_of(work, struct redis_find, work);

	if (status < 0)
		snprintf(f->error, sizeof f->error, "%s", uv_strerror(status));
	if (f->fn && f->error[0])
		f->fn(f->arg, f->error, NULL);
	else if (f->fn)
		f->fn(f->arg, NULL, &f->endpoint);
	redis_address_clear(&f->address);
	free(f);
}

struct redis_find *redis_find_start(struct loop *loop, const struct redis_address *address,
				    unsigned attempt, int64_t timeout_ms, redis_found_fn fn,
				    void *arg)
{
	struct redis_find *f = xcalloc(1, sizeof *f);

	redis_address_copy(address, &f->address);
	f->attempt = attempt;
	f->timeout_ms = timeout_ms;
	f->fn = fn;
	f->arg = arg;
	must(uv_queue_work(&loop->uv, &f->work, search, searched) == 0);
	return f;
}

void redis_find_cancel(struct redis_find *f)
{
	if (!f)
		return;
	f->fn = NULL;
	uv_cancel((uv_req_t *)&f->work); /* if it hasn't begun: searched() comes in any case */
}
