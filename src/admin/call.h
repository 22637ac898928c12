/*
 * call.h - one request of an operator, from its headers to its answer. Private to admin/.
 *
 *      READING ──> ASKING ──> ANSWERED
 *      body        handler    http_server has it all
 *
 * A handler answers at once, or asks the backend and answers then; meanwhile the request is parked,
 * no longer than the backend takes (queue/query.h). One that hangs up takes its query back.
 */
#pragma once

#include <cjson/cJSON.h>

#include "admin/admin.h"
#include "admin/changes.h"
#include "admin/guard.h"
#include "admin/json.h"
#include "admin/lag.h"
#include "admin/overview.h"
#include "admin/route.h"
#include "http/http_server.h"
#include "queue/query.h"

enum { CALL_BODY_MAX = 64 * 1024 };

struct admin {
	struct admin_parts parts;
	struct http_server *server;
	struct list calls;
	struct lag *lag;
	struct overview *overview;
	struct changes changes;
	int64_t started_ms, started_wall_ms;
	struct job check_idle;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

enum call_state { CALL_READING, CALL_ASKING, CALL_ANSWERED };

struct call {
	struct admin *admin;
	struct list link; /* in admin->calls */
	enum call_state state;
	struct http_request *request;
	struct job serve;
	struct timer *limit;
	bool has_body, too_large;
	struct buf body;

	struct guard_person person; /* from the handler's beginning on */
	const struct route *route;
	struct route_params params;
	struct lock_query query;
	void (*then)(struct call *call, const struct lock_answer *answer);
	void *data;                       /* the handler's, freed with the call */
	void (*leave)(struct call *call); /* the handler's, before that; NULL: nothing to leave */
};

/* Answers. The call is over. */
void call_respond(struct call *c, const struct http_response *response);

/* The same with a JSON document, which it consumes. */
void call_reply(struct call *c, int status, cJSON *document);

/* The same with a text of another type. */
void call_reply_text(struct call *c, int status, const char *type, struct span text);

/* Answers {"error":{"code":…,"message":…}}. */
void call_fail(struct call *c, int status, const char *code, const char *format, ...) PRINTF(4, 5);

/*
 * Asks the backend what is filled in in c->query; `then` gets the answer. One that says that
 * the backend can't be asked is answered 503 without it.
 */
void call_ask(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer));

/* The same, but `then` hears of that as well, in answer->error. */
void call_try(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer));

/*
 * As call_ask(), for what changes something: who hangs up before the answer leaves a line in the
 * log.
 */
void call_order(struct call *c, void (*then)(struct call *call, const struct lock_answer *answer));

/* May it be served with that access? Fills in c->person if so. */
enum guard_verdict call_check(struct call *c, enum route_access access) MUST_USE;

/*
 * An operator's change was carried out: one line in the log, one entry of the changes. Who, from
 * where and when is filled in here.
 */
void call_changed(struct call *c, struct change *change);

/* c->params.text[0] if it can be an account's name, else NULL: then the call has failed. */
const char *call_account(struct call *c);

/* A whole number from the query, within a range; -1 if it is none, and then the call has failed. */
int64_t call_query_number(struct call *c, const char *name, int64_t preset, int64_t min,
			  int64_t max);

/* What counts, for all accounts (NULL) or for one: the fields of runtime.h. settings.c */
void settings_add(const struct admin *a, const char *account, cJSON *object);

/* What GET /api/status shows. status.c */
void status_add(const struct admin *a, cJSON *document);

/* --- the handlers, by file -------------------------------------------------------------------- */

void serve_api(struct call *c); /* routes.c */

void serve_alive(struct call *c); /* status.c */
void serve_ready(struct call *c);
void serve_status(struct call *c);
void serve_metrics(struct call *c);

void serve_queues(struct call *c); /* queues.c */
void serve_queue(struct call *c);
void serve_force(struct call *c);
void serve_force_one(struct call *c);
void serve_pause(struct call *c);
void serve_resume(struct call *c);
void serve_release(struct call *c);
void serve_remove(struct call *c);

void serve_overview(struct call *c); /* overview.c */

void serve_changes(struct call *c); /* changes.c */

void serve_history(struct call *c); /* history.c */

void serve_webhook_test(struct call *c); /* webhook_trial.c */

void serve_page(struct call *c); /* dashboard.c */
void serve_asset(struct call *c);

void serve_config(struct call *c); /* settings.c */
void serve_config_put(struct call *c);
void serve_config_delete(struct call *c);
void serve_account_config(struct call *c);
void serve_account_config_put(struct call *c);
void serve_account_config_delete(struct call *c);
