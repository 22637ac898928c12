#include "queue/redis_presence.h"

#include "base/clock.h"
#include "queue/keeper.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { INDEX_EVERY_MS = 30000 }; /* unindex.lua counts on less than 60 s */

struct known_account {
	char name[LOCK_ACCOUNT_MAX];
	int64_t at_ms;
	struct list link; /* in by_age */
	UT_hash_handle hh;
};

static void answered(struct redis_call *call, const redisReply *reply)
{
	(void)reply;
	redis_call_free(call);
}

/* Presence that couldn't be shown is shown again soon; the enter behind it has the same fate. */
static void send_and_forget(struct redis_presence *p, struct redis_call *call)
{
	call->done = answered;
	if (redis_call_send(p->caller, call) < 0)
		redis_call_free(call);
}

void redis_presence_live_command(const struct redis_names *names, struct redis_command *ret)
{
	CLEANUP(freep) char *key = xasprintf("%s_live:%s", names->prefix, names->owner);

	redis_arg_str(ret, "SET");
	redis_arg_key(ret, key);
	redis_arg_str(ret, "1");
	redis_arg_str(ret, "PX");
	redis_arg_int(ret, KEEPER_LIVE_MS);
}

static void show_life(struct redis_presence *p, int64_t now)
{
	struct redis_call *call;

	if (p->live_at_ms && now < p->live_at_ms + KEEPER_LIVE_EVERY_MS)
		return;
	p->live_at_ms = now;
	call = xcalloc(1, sizeof *call);
	call->script = SCRIPT_COUNT;
	redis_presence_live_command(p->names, &call->command);
	send_and_forget(p, call);
}

static void forget(struct redis_presence *p, struct known_account *k)
{
	list_remove(&k->link);
	HASH_DEL(p->known, k);
	free(k);
}

static void put_in_index(struct redis_presence *p, const char *account)
{
	CLEANUP(freep) char *index = xasprintf("%s_index", p->names->prefix);
	struct redis_call *call = xcalloc(1, sizeof *call);

	call->script = SCRIPT_INDEX;
	redis_arg_int(&call->command, 1);
	redis_arg_key(&call->command, index);
	redis_arg_str(&call->command, account);
	send_and_forget(p, call);
}

void redis_presence_note(struct redis_presence *p, const char *account)
{
	int64_t now = clock_ms();
	struct known_account *k;

	show_life(p, now);
	while ((k = list_first(&p->by_age, struct known_account, link)) &&
	       now >= k->at_ms + INDEX_EVERY_MS)
		forget(p, k);
	HASH_FIND_STR(p->known, account, k);
	if (k)
		return;
	k = xcalloc(1, sizeof *k);
	memcpy(k->name, account, strlen(account) + 1);
	k->at_ms = now;
	HASH_ADD_STR(p->known, name, k);
	list_append(&p->by_age, &k->link);
	put_in_index(p, account);
}

void redis_presence_reset(struct redis_presence *p)
{
	struct known_account *k;

	while ((k = list_first(&p->by_age, struct known_account, link)))
		forget(p, k);
	p->live_at_ms = 0;
}

void redis_presence_open(struct redis_presence *p, struct redis_caller *caller,
			 const struct redis_names *names)
{
	p->caller = caller;
	p->names = names;
	list_init(&p->by_age);
}
