#include "admin/webhook.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

#include "admin/json.h"
#include "base/alert.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/stats.h"
#include "request/hash.h"

enum {
	LOOK_MS = 1000,
	QUIET_MS = 10 * 60 * 1000, /* for each kind and account */
	GONE_MS = 5000,            /* a restart is no outage */
	POST_MS = 10 * 1000,
	RETRY_MS = 1000, /* doubled each time */
	ATTEMPTS = 6,
	PENDING_MAX = 64,
	TOLD_MAX = 1024,
	STALLED_MAX = 16,
	FIELD_MAX = 128,
	CLAIM_MAX = 32 + LOCK_ACCOUNT_MAX, /* a kind's word, and an account */
};

struct key {
	char text[LOCK_ACCOUNT_MAX + 1]; /* the kind as a letter, and the account */
};

/* What was told, and when: so that it isn't told again for a while. */
struct told {
	struct key key;
	int64_t at_ms;
	UT_hash_handle hh;
};

struct message {
	struct list link; /* in `claiming` or `pending` */
	struct webhook *webhook;
	struct lock_query claim;
	char claim_text[CLAIM_MAX], claim_over[CLAIM_MAX];
	enum alert_kind kind;
	char account[LOCK_ACCOUNT_MAX];
	int64_t number, at_wall_ms, id;
	int attempts;
};

struct outage {
	int64_t since_ms; /* 0: there is none */
	bool told;
};

struct webhook {
	struct webhook_parts parts;
	struct post_client *client;
	struct post *post; /* of the first of `pending`; NULL: none is under way */
	struct timer *again;
	bool resting; /* until that timer: the first is to be sent again */
	struct timer *look;
	struct list claiming; /* whether this process tells them is being asked */
	struct list pending;
	int pending_count; /* in both */
	struct told *told;
	struct outage redis, relay;
	struct lock_query query; /* whether anybody waits for `stalled` */
	char stalled[LOCK_ACCOUNT_MAX];
	struct webhook_counters counters;
	int64_t messages;
};

/* --- what is sent ----------------------------------------------------------------------------- */

static void add_details(cJSON *document, const struct message *m)
{
	json_add_text(document, "account", m->account);
	if (m->kind == ALERT_HELD)
		json_add_known(document, "forMs", m->number, m->number);
	if (m->kind == ALERT_LINE_LONG)
		json_add(document, "waiting", m->number);
}

static cJSON *compose_json(const struct webhook *w, const struct message *m)
{
	cJSON *document = cJSON_CreateObject();
	char id[64];

	snprintf(id, sizeof id, "%s-%lld", beacon_id(w->parts.beacon), (long long)m->id);
	cJSON_AddStringToObject(document, "id", id);
	cJSON_AddStringToObject(document, "event", alert_word(m->kind));
	cJSON_AddStringToObject(document, "message", alert_message(m->kind));
	add_details(document, m);
	cJSON_AddStringToObject(document, "instance", w->parts.config->redis.instance);
	json_add_time(document, "at", m->at_wall_ms);
	return document;
}

static cJSON *compose_slack(const struct webhook *w, const struct message *m)
{
	CLEANUP(buf_clear) struct buf text = { 0 };
	cJSON *document = cJSON_CreateObject();

	buf_printf(&text, "turnstile %s: ", w->parts.config->redis.instance);
	if (m->account[0])
		buf_printf(&text, "%s: ", m->account);
	buf_puts(&text, alert_message(m->kind));
	if (m->kind == ALERT_HELD && m->number)
		buf_printf(&text, " (%lld s)", (long long)(m->number + 999) / 1000);
	if (m->kind == ALERT_LINE_LONG)
		buf_printf(&text, " (%lld)", (long long)m->number);
	cJSON_AddStringToObject(document, "text", buf_str(&text));
	return document;
}

static char *compose(const struct webhook *w, const struct message *m)
{
	cJSON *document = w->parts.config->admin.webhook_format == WEBHOOK_SLACK
				  ? compose_slack(w, m)
				  : compose_json(w, m);
	char *text = cJSON_PrintUnformatted(document);

	must(text);
	cJSON_Delete(document);
	return text;
}

static struct post *send_message(struct webhook *w, const struct message *m,
				 void (*done)(void *arg, int status, const char *error), void *arg)
{
	const struct config *c = w->parts.config;
	CLEANUP(freep) char *body = compose(w, m);
	char event[FIELD_MAX], signature[FIELD_MAX], digest[65];
	const char *fields[] = { event, NULL, NULL };

	snprintf(event, sizeof event, "x-turnstile-event: %s", alert_word(m->kind));
	if (c->admin.webhook_secret[0]) {
		hash_sign(c->admin.webhook_secret, span_of(body), digest);
		snprintf(signature, sizeof signature, "x-turnstile-signature: sha256=%s", digest);
		fields[1] = signature;
	}
	if (!w->client)
		w->client = post_client_new(w->parts.loop);
	return post_new(w->client,
			&(struct post_request){ .url = c->admin.webhook,
						.fields = fields,
						.type = "application/json",
						.body = span_of(body),
						.limit_ms = POST_MS },
			done, arg);
}

/* --- one after the other ---------------------------------------------------------------------- */

static void send_next(struct webhook *w);

static struct message *first(struct webhook *w)
{
	return list_first(&w->pending, struct message, link);
}

static void drop(struct webhook *w, struct message *m)
{
	list_remove(&m->link);
	w->pending_count--;
	free(m);
}

/* What may be better in a moment. */
static bool is_worth_retrying(int status)
{
	return !status || status == 408 || status == 429 || status >= 500;
}

static void give_up(struct webhook *w, const struct message *m, int status, const char *error)
{
	bool redirect = status >= 300 && status < 400;

	w->counters.failed++;
	log_warn(redirect ? "admin.webhook redirects: set the address it names"
			  : "admin.webhook doesn't take an event",
		 LOG_STR("event", alert_word(m->kind)), LOG_STR("account", m->account),
		 LOG_INT("attempts", m->attempts), LOG_INT("status", status),
		 LOG_STR("cause", error));
}

/* True: the first is to be sent again, after a while. */
static bool end_attempt(struct webhook *w, struct message *m, int status, const char *error)
{
	if (is_worth_retrying(status) && m->attempts < ATTEMPTS) {
		w->resting = true;
		timer_start(w->again, (int64_t)RETRY_MS << (m->attempts - 1));
		return true;
	}
	if (status >= 200 && status < 300)
		w->counters.sent++;
	else
		give_up(w, m, status, error);
	drop(w, m);
	return false;
}

static void on_done(void *arg, int status, const char *error)
{
	struct webhook *w = arg;
	bool again = end_attempt(w, first(w), status, error);

	post_free(steal(&w->post)); /* the words of the error were its own */
	if (!again)
		send_next(w);
}

static void send_next(struct webhook *w)
{
	if (w->post || w->resting || list_empty(&w->pending))
		return;
	if (!w->parts.config->admin.webhook[0]) { /* reloaded meanwhile */
		while (!list_empty(&w->pending))
			drop(w, first(w));
		return;
	}
	first(w)->attempts++;
	w->post = send_message(w, first(w), on_done, w);
}

static void on_again(void *arg)
{
	struct webhook *w = arg;

	w->resting = false;
	send_next(w);
}

/* --- hearing ---------------------------------------------------------------------------------- */

static void forget_told(struct webhook *w, struct told *t)
{
	HASH_DEL(w->told, t);
	free(t);
}

/* They are in the order in which they were told. */
static void forget_old(struct webhook *w, int64_t now_ms)
{
	struct told *t, *next;

	HASH_ITER (hh, w->told, t, next) {
		if (t->at_ms > now_ms - QUIET_MS && HASH_COUNT(w->told) < TOLD_MAX)
			return;
		forget_told(w, t);
	}
}

static struct key key_of(enum alert_kind kind, const char *account)
{
	struct key key;

	snprintf(key.text, sizeof key.text, "%c%s", 'a' + (int)kind, account);
	return key;
}

static bool was_told(struct webhook *w, enum alert_kind kind, const char *account)
{
	struct key key = key_of(kind, account);
	struct told *t;

	forget_old(w, clock_ms());
	HASH_FIND_STR(w->told, key.text, t);
	return t;
}

static void forget(struct webhook *w, enum alert_kind kind, const char *account)
{
	struct key key = key_of(kind, account);
	struct told *t;

	HASH_FIND_STR(w->told, key.text, t);
	if (t)
		forget_told(w, t);
}

static void note_told(struct webhook *w, enum alert_kind kind, const char *account)
{
	struct told *t = xcalloc(1, sizeof *t);

	t->key = key_of(kind, account);
	t->at_ms = clock_ms();
	HASH_ADD_STR(w->told, key.text, t);
}

static void on_claimed(struct lock_query *q, const struct lock_answer *answer)
{
	struct message *m = container_of(q, struct message, claim);
	struct webhook *w = m->webhook;

	if (answer->error == -EBUSY) {
		w->counters.claimed++;
		drop(w, m);
		return;
	}
	list_remove(&m->link);
	list_append(&w->pending, &m->link);
	send_next(w);
}

static void put_claim(enum alert_kind kind, const char *account, char ret[CLAIM_MAX])
{
	snprintf(ret, CLAIM_MAX, "%s%s%s", alert_word(kind), account[0] ? ":" : "", account);
}

static void claim(struct webhook *w, struct message *m)
{
	enum alert_kind end = alert_end(m->kind);

	put_claim(m->kind, m->account, m->claim_text);
	m->claim = (struct lock_query){ .verb = LOCK_CLAIM,
					.claim = m->claim_text,
					.claim_ms = QUIET_MS,
					.answered = on_claimed };
	if (end != ALERT_KIND_COUNT) {
		put_claim(end, m->account, m->claim_over);
		m->claim.claim_over = m->claim_over;
	}
	lock_query_send(queue_backend(w->parts.queue), &m->claim);
}

static void put(struct webhook *w, const struct alert *alert)
{
	struct message *m;

	if (w->pending_count == PENDING_MAX) {
		w->counters.dropped++;
		return;
	}
	m = xcalloc(1, sizeof *m);
	m->kind = alert->kind;
	snprintf(m->account, sizeof m->account, "%s", alert->account);
	m->number = alert->number;
	m->at_wall_ms = clock_wall_ms();
	m->id = ++w->messages;
	m->webhook = w;
	list_append(&w->claiming, &m->link);
	w->pending_count++;
	claim(w, m);
}

static void on_alert(void *arg, const struct alert *alert)
{
	struct webhook *w = arg;
	int64_t line = w->parts.config->admin.webhook_line;

	if (!w->parts.config->admin.webhook[0])
		return;
	if (alert->kind == ALERT_LINE_LONG && (!line || alert->number < line))
		return;
	if (was_told(w, alert->kind, alert->account))
		return;
	note_told(w, alert->kind, alert->account);
	forget(w, alert_end(alert->kind), alert->account);
	put(w, alert);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void look_at(struct outage *o, bool up, enum alert_kind gone, enum alert_kind back)
{
	int64_t now = clock_ms();

	if (!up && !o->since_ms)
		o->since_ms = now;
	if (!up && !o->told && now - o->since_ms >= GONE_MS) {
		o->told = true;
		alert(gone, "", 0);
	}
	if (up && o->told)
		alert(back, "", 0);
	if (up)
		*o = (struct outage){ 0 };
}

static void on_looked(struct lock_query *q, const struct lock_answer *answer)
{
	struct webhook *w = container_of(q, struct webhook, query);

	if (!answer->error && answer->count && answer->views[0].waiting)
		alert(ALERT_STUCK, w->stalled, 0);
	w->stalled[0] = '\0';
}

/* A turn that doesn't move matters if somebody waits for it; one account a look. */
static void look_at_turns(struct webhook *w)
{
	const char *names[STALLED_MAX];
	size_t count = proxy_stalled(w->parts.proxy, w->parts.config->listen.stall_timeout_ms,
				     names, STALLED_MAX);

	for (size_t i = 0; i < count && !w->stalled[0]; i++) {
		if (was_told(w, ALERT_STUCK, names[i]))
			continue;
		snprintf(w->stalled, sizeof w->stalled, "%s", names[i]);
		w->query = (struct lock_query){ .verb = LOCK_LOOK,
						.account = w->stalled,
						.answered = on_looked };
		lock_query_send(queue_backend(w->parts.queue), &w->query);
	}
}

static void on_look(void *arg)
{
	struct webhook *w = arg;
	struct proxy_gauges gauges;
	struct lock_stats lock;

	timer_start(w->look, LOOK_MS);
	if (!w->parts.config->admin.webhook[0])
		return;
	proxy_gauges(w->parts.proxy, &gauges);
	queue_stats(w->parts.queue, &lock);
	look_at(&w->redis, lock.up, ALERT_REDIS_GONE, ALERT_REDIS_BACK);
	look_at(&w->relay, !gauges.upstream_down_since_ms, ALERT_RELAY_GONE, ALERT_RELAY_BACK);
	if (!w->stalled[0])
		look_at_turns(w);
}

/* --- the whole -------------------------------------------------------------------------------- */

struct post *webhook_test(struct webhook *w, void (*done)(void *arg, int status, const char *error),
			  void *arg)
{
	struct message m = { .kind = ALERT_TEST, .at_wall_ms = clock_wall_ms() };

	if (!w->parts.config->admin.webhook[0])
		return NULL;
	m.id = ++w->messages;
	return send_message(w, &m, done, arg);
}

const struct webhook_counters *webhook_counters(const struct webhook *w)
{
	return &w->counters;
}

struct webhook *webhook_new(const struct webhook_parts *parts)
{
	struct webhook *w = xcalloc(1, sizeof *w);

	w->parts = *parts;
	list_init(&w->claiming);
	list_init(&w->pending);
	w->again = timer_new(parts->loop, on_again, w);
	w->look = timer_new(parts->loop, on_look, w);
	timer_start(w->look, LOOK_MS);
	alert_listen(on_alert, w);
	return w;
}

void webhook_free(struct webhook *w)
{
	struct told *t, *next;

	if (!w)
		return;
	alert_listen(NULL, NULL);
	if (w->stalled[0])
		lock_query_cancel(queue_backend(w->parts.queue), &w->query);
	post_free(w->post);
	while (!list_empty(&w->claiming)) {
		struct message *m = list_first(&w->claiming, struct message, link);

		lock_query_cancel(queue_backend(w->parts.queue), &m->claim);
		drop(w, m);
	}
	while (!list_empty(&w->pending))
		drop(w, first(w));
	HASH_ITER (hh, w->told, t, next)
		forget_told(w, t);
	timer_clear(&w->again);
	timer_clear(&w->look);
	post_client_free(w->client);
	free(w);
}
