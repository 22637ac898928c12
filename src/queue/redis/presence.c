/*
 * presence.c - the live key, and the index of accounts, which is bounded.
 *
 *      show ──index.lua──> too many? the longest idle ──forget.lua──> nobody there: past deleted
 *           (account)      are taken out of the index   (each one)  └─ somebody: into the index
 *
 * Clients can make up accounts without end, by sending keys that they made up, so what is
 * remembered of idle ones has a limit (redis.max_accounts), as HAProxy's stick tables have: who
 * comes in when it is reached pushes out those whose last use is longest ago. The index says who
 * that is, but only the account's own keys, in a cluster on another node, say if somebody is there.
 *
 * If this process crashes between the two, those few aren't listed until they are used again; what
 * is remembered of them expires. So it is if another process uses an account that this one has just
 * forgotten, within the 30 s in which it doesn't list it again: that takes max_accounts others in
 * that time, and is about no more than the KNOWN_MAX that were listed last.
 */
#include "queue/redis/presence.h"

#include "base/clock.h"
#include "base/log.h"
#include "queue/redis/keeper.h"

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum {
	INDEX_EVERY_MS = 30000, /* unindex.lua counts on less than 60 s */
	KNOWN_MAX = 4000,       /* the oldest of more is listed again, that is all */
	LOG_EVERY_MS = 60000,
	NO_LIMIT = INT32_MAX,
};

struct known_account {
	char name[LOCK_ACCOUNT_MAX];
	int64_t at_ms;
	struct list link; /* in by_age */
	UT_hash_handle hh;
};

/* A call about an account. */
struct mention {
	struct redis_call call;
	struct redis_presence *presence;
	char account[LOCK_ACCOUNT_MAX];
};

/* --- calls ------------------------------------------------------------------------------- */

static void answered(struct redis_call *call, const redisReply *reply)
{
	(void)reply;
	redis_call_free(call);
}

/* Presence that couldn't be shown is shown again soon; the enter behind it has the same fate. */
static void send_off(struct redis_presence *p, struct redis_call *call)
{
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
	call->form = redis_is_status;
	call->done = answered;
	redis_presence_live_command(p->names, &call->command);
	send_off(p, call);
}

static struct mention *new_mention(struct redis_presence *p, enum script script,
				   const char *account,
				   void (*done)(struct redis_call *, const redisReply *))
{
	struct mention *m = xcalloc(1, sizeof *m);

	m->presence = p;
	m->call.script = script_get(script);
	m->call.form = script_form(script);
	m->call.done = done;
	snprintf(m->account, sizeof m->account, "%s", account);
	return m;
}

/* --- what is known here -------------------------------------------------------------------- */

static void drop(struct redis_presence *p, struct known_account *k)
{
	list_remove(&k->link);
	HASH_DEL(p->known, k);
	free(k);
}

static void drop_name(struct redis_presence *p, const char *account)
{
	struct known_account *k;

	HASH_FIND_STR(p->known, account, k);
	if (k)
		drop(p, k);
}

/* So many are left at most, and none that has to be listed again. */
static void drop_oldest(struct redis_presence *p, size_t most)
{
	int64_t now = clock_ms();
	struct known_account *k;

	while ((k = list_first(&p->by_age, struct known_account, link)) &&
	       (now >= k->at_ms + INDEX_EVERY_MS || HASH_COUNT(p->known) > most))
		drop(p, k);
}

/* --- the index ----------------------------------------------------------------------------- */

/* A flood makes one line a minute. */
static void tell(struct redis_presence *p)
{
	int64_t now = clock_ms();

	p->forgotten++;
	if (p->told_at_ms && now < p->told_at_ms + LOG_EVERY_MS)
		return;
	log_warn("more accounts than there is room for: forgot those idle for longest",
		 LOG_INT("accounts", p->forgotten - p->told));
	p->told = p->forgotten;
	p->told_at_ms = now;
}

static void put_in_index(struct redis_presence *p, const char *account, int64_t most,
			 void (*done)(struct redis_call *, const redisReply *))
{
	CLEANUP(freep) char *index = xasprintf("%s_index", p->names->prefix);
	struct mention *m = new_mention(p, SCRIPT_INDEX, account, done);

	redis_arg_int(&m->call.command, 1);
	redis_arg_key(&m->call.command, index);
	redis_arg_str(&m->call.command, account);
	redis_arg_int(&m->call.command, most);
	send_off(p, &m->call);
}

/* Who can't be forgotten, or asked about, comes to the end of the index, and pushes out nobody. */
static void forgotten(struct redis_call *call, const redisReply *reply)
{
	struct mention *m = container_of(call, struct mention, call);
	struct script_answer a;

	if (script_answer_read(reply, &a) && span_eq(a.what, SPAN("forgotten")))
		tell(m->presence);
	else
		put_in_index(m->presence, m->account, NO_LIMIT, answered);
	redis_call_free(call);
}

static void make_room(struct redis_presence *p, const redisReply *name)
{
	struct mention *m;

	if (name->len >= LOCK_ACCOUNT_MAX)
		return;
	drop_name(p, name->str); /* if it is used again from now on, it is listed */
	m = new_mention(p, SCRIPT_FORGET, name->str, forgotten);
	script_account(&m->call.command, p->names, m->account);
	if (redis_call_send(p->caller, &m->call) < 0)
		forgotten(&m->call, NULL);
}

static void indexed(struct redis_call *call, const redisReply *reply)
{
	struct mention *m = container_of(call, struct mention, call);
	size_t n = reply && reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

	if (!n || !reply->element[0]->integer)
		drop_name(m->presence, m->account); /* so that it is listed again */
	for (size_t i = 1; i < n; i++)
		make_room(m->presence, reply->element[i]);
	redis_call_free(call);
}

void redis_presence_show(struct redis_presence *p, const char *account)
{
	int64_t now = clock_ms();
	struct known_account *k;

	show_life(p, now);
	drop_oldest(p, KNOWN_MAX);
	HASH_FIND_STR(p->known, account, k);
	if (k)
		return;
	drop_oldest(p, KNOWN_MAX - 1);
	k = xcalloc(1, sizeof *k);
	memcpy(k->name, account, strlen(account) + 1);
	k->at_ms = now;
	HASH_ADD_STR(p->known, name, k);
	list_append(&p->by_age, &k->link);
	put_in_index(p, account, p->caller->nodes->terms.config->redis.max_accounts, indexed);
}

void redis_presence_reset(struct redis_presence *p)
{
	drop_oldest(p, 0);
	p->live_at_ms = 0;
}

void redis_presence_open(struct redis_presence *p, struct redis_caller *caller,
			 const struct redis_names *names)
{
	p->caller = caller;
	p->names = names;
	list_init(&p->by_age);
}
