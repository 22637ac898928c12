#include "admin/beacon.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "admin/json.h"
#include "base/clock.h"
#include "proxy/stats.h"
#include "queue/query.h"

struct beacon {
	struct beacon_parts parts;
	struct lock_query query;
	struct timer *timer;
	char *text; /* while the query is open */
	int64_t started_wall_ms;
	char id[20];
};

/* --- writing ---------------------------------------------------------------------------------- */

static void add_observed(const struct beacon *n, cJSON *document)
{
	const struct shadow_counters *c = proxy_observed(n->parts.proxy);
	cJSON *object = cJSON_AddObjectToObject(document, "observed");

	json_add(object, "joined", c->joined);
	json_add(object, "turn", c->ends[SHADOW_TURN]);
	json_add(object, "queueTimeout", c->ends[SHADOW_TIMED_OUT]);
	json_add(object, "queueFull", c->ends[SHADOW_FULL]);
	json_add(object, "unknown", c->ends[SHADOW_UNKNOWN]);
	json_add(object, "waited", c->waited);
	json_add(object, "waitMs", c->wait_ms);
}

static void add_stalled(const struct beacon *n, cJSON *document)
{
	cJSON *list = cJSON_AddArrayToObject(document, "stalled");
	const char *names[BEACON_STALLED];
	size_t count = proxy_stalled(n->parts.proxy, n->parts.config->listen.stall_timeout_ms,
				     names, BEACON_STALLED);

	for (size_t i = 0; i < count; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
}

static void add_refusals(const struct beacon *n, cJSON *document)
{
	const struct refusals *refusals = proxy_refusals(n->parts.proxy);
	cJSON *list = cJSON_AddArrayToObject(document, "rejections");
	const struct refusal *r;

	json_add(document, "rejected", refusals->count);
	for (size_t i = 0; i < BEACON_REFUSALS && (r = refusals_get(refusals, i)); i++) {
		cJSON *object = cJSON_CreateObject();

		json_add(object, "at", r->at_ms);
		cJSON_AddStringToObject(object, "outcome", outcome_info[r->outcome].word);
		json_add(object, "status", outcome_info[r->outcome].status);
		cJSON_AddStringToObject(object, "message", outcome_info[r->outcome].message);
		cJSON_AddStringToObject(object, "reason", r->reason);
		cJSON_AddStringToObject(object, "account", r->account);
		cJSON_AddStringToObject(object, "client", r->client);
		cJSON_AddStringToObject(object, "requestId", r->id);
		json_add(object, "waitedMs", r->waited_ms);
		cJSON_AddItemToArray(list, object);
	}
}

cJSON *beacon_compose(const struct beacon *n)
{
	cJSON *document = cJSON_CreateObject();
	struct proxy_gauges gauges;
	struct lock_stats lock;

	proxy_gauges(n->parts.proxy, &gauges);
	queue_stats(n->parts.queue, &lock);
	cJSON_AddStringToObject(document, "id", n->id);
	cJSON_AddStringToObject(document, "instance", n->parts.config->redis.instance);
	cJSON_AddStringToObject(document, "version", TURNSTILE_VERSION);
	cJSON_AddStringToObject(document, "listening", proxy_address(n->parts.proxy));
	cJSON_AddStringToObject(document, "mode", config_queue_mode_name(n->parts.config));
	cJSON_AddBoolToObject(document, "draining", gauges.draining);
	json_add(document, "pid", getpid());
	json_add(document, "startedAt", n->started_wall_ms);
	json_add(document, "waiting", gauges.waiting);
	json_add(document, "holding", gauges.holding);
	json_add(document, "exchanges", gauges.exchanges);
	json_add(document, "connections", gauges.listener.connections.acceptor.open);
	json_add(document, "lostTurns", lock.lost);
	add_stalled(n, document);
	add_observed(n, document);
	add_refusals(n, document);
	return document;
}

static void written(struct lock_query *q, const struct lock_answer *answer)
{
	struct beacon *n = container_of(q, struct beacon, query);

	(void)answer; /* of no use by now: the next one follows soon */
	cJSON_free(steal(&n->text));
	timer_start(n->timer, BEACON_EVERY_MS);
}

void beacon_write(struct beacon *n)
{
	cJSON *document;

	if (n->text)
		return;
	timer_stop(n->timer);
	document = beacon_compose(n);
	n->text = cJSON_PrintUnformatted(document);
	must(n->text);
	cJSON_Delete(document);
	n->query =
		(struct lock_query){ .verb = LOCK_BEACON, .beacon = n->text, .answered = written };
	lock_query_send(queue_backend(n->parts.queue), &n->query);
}

static void on_time(void *arg)
{
	beacon_write(arg);
}

const char *beacon_id(const struct beacon *n)
{
	return n->id;
}

struct beacon *beacon_new(const struct beacon_parts *parts)
{
	struct beacon *n = xcalloc(1, sizeof *n);
	uint64_t random;

	must(getrandom(&random, sizeof random, 0) == sizeof random);
	snprintf(n->id, sizeof n->id, "%016llx", (unsigned long long)random);
	n->parts = *parts;
	n->started_wall_ms = clock_wall_ms();
	n->timer = timer_new(parts->loop, on_time, n);
	timer_start(n->timer, 0);
	return n;
}

void beacon_free(struct beacon *n)
{
	if (!n)
		return;
	lock_query_cancel(queue_backend(n->parts.queue), &n->query);
	timer_clear(&n->timer);
	cJSON_free(n->text);
	free(n);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct member {
	const char *name;
	int type;                     /* cJSON's; cJSON_False for either truth value */
	const struct member *members; /* of an object, or of an array's objects */
};

static const struct member observed_members[] = {
	{ "joined", cJSON_Number },       { "turn", cJSON_Number },
	{ "queueTimeout", cJSON_Number }, { "queueFull", cJSON_Number },
	{ "unknown", cJSON_Number },      { "waited", cJSON_Number },
	{ "waitMs", cJSON_Number },       { 0 },
};

static const struct member rejection_members[] = {
	{ "at", cJSON_Number },       { "outcome", cJSON_String },
	{ "status", cJSON_Number },   { "message", cJSON_String },
	{ "reason", cJSON_String },   { "account", cJSON_String },
	{ "client", cJSON_String },   { "requestId", cJSON_String },
	{ "waitedMs", cJSON_Number }, { 0 },
};

static const struct member beacon_members[] = {
	{ "id", cJSON_String },
	{ "instance", cJSON_String },
	{ "version", cJSON_String },
	{ "listening", cJSON_String },
	{ "mode", cJSON_String },
	{ "draining", cJSON_False },
	{ "pid", cJSON_Number },
	{ "startedAt", cJSON_Number },
	{ "waiting", cJSON_Number },
	{ "holding", cJSON_Number },
	{ "exchanges", cJSON_Number },
	{ "connections", cJSON_Number },
	{ "lostTurns", cJSON_Number },
	{ "rejected", cJSON_Number },
	{ "stalled", cJSON_Array, NULL },
	{ "observed", cJSON_Object, observed_members },
	{ "rejections", cJSON_Array, rejection_members },
	{ 0 },
};

static bool is_of_type(const cJSON *item, int type)
{
	return type == cJSON_False ? cJSON_IsBool(item) : item && (item->type & 0xff) == type;
}

/* A flat object with these members and no others, in place of `from`; NULL if one is amiss. */
static cJSON *take_flat(const cJSON *from, const struct member *members)
{
	cJSON *to = cJSON_CreateObject();

	for (; members->name; members++) {
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, members->name);

		if (!is_of_type(item, members->type)) {
			cJSON_Delete(to);
			return NULL;
		}
		cJSON_AddItemToObject(to, members->name, cJSON_Duplicate(item, true));
	}
	return to;
}

static bool take_list(const cJSON *from, const struct member *members, cJSON *to)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, from) {
		cJSON *copy = !members               ? is_of_type(item, cJSON_String)
							       ? cJSON_Duplicate(item, false)
							       : NULL
			      : cJSON_IsObject(item) ? take_flat(item, members)
						     : NULL;

		if (!copy)
			return false;
		cJSON_AddItemToArray(to, copy);
	}
	return true;
}

static bool take_member(const cJSON *item, const struct member *m, cJSON *to)
{
	cJSON *copy;

	if (!is_of_type(item, m->type))
		return false;
	if (m->type == cJSON_Array)
		return take_list(item, m->members, cJSON_AddArrayToObject(to, m->name));
	copy = m->type == cJSON_Object ? take_flat(item, m->members) : cJSON_Duplicate(item, false);
	if (copy)
		cJSON_AddItemToObject(to, m->name, copy);
	return copy;
}

cJSON *beacon_read(const char *text)
{
	cJSON *beacon = strlen(text) <= LOCK_BEACON_MAX ? cJSON_Parse(text) : NULL;
	cJSON *clean = cJSON_CreateObject();
	bool fine = cJSON_IsObject(beacon);

	for (const struct member *m = beacon_members; fine && m->name; m++)
		fine = take_member(cJSON_GetObjectItemCaseSensitive(beacon, m->name), m, clean);
	cJSON_Delete(beacon);
	if (fine)
		return clean;
	cJSON_Delete(clean);
	return NULL;
}
