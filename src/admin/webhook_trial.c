/*
 * webhook_trial.c - an operator tries admin.webhook, and hears how it went.
 */
#include "admin/call.h"

struct trial {
	struct call *call;
	struct post *post;
};

static void leave(struct call *c)
{
	struct trial *t = c->data;

	post_free(t->post);
}

static void answer(struct call *c, int status, const char *error)
{
	cJSON *document;

	if (!status) {
		call_fail(c, 502, "webhook_failed", "admin.webhook can't be reached: %s", error);
		return;
	}
	if (status < 200 || status >= 300) {
		call_fail(c, 502, "webhook_failed", "admin.webhook answers %d", status);
		return;
	}
	document = cJSON_CreateObject();
	cJSON_AddBoolToObject(document, "sent", true);
	json_add(document, "status", status);
	call_reply(c, 200, document);
}

static void on_done(void *arg, int status, const char *error)
{
	struct trial *t = arg;
	struct post *post = steal(&t->post); /* the words of the error are its own */

	t->call->leave = NULL;
	answer(t->call, status, error);
	post_free(post);
}

void serve_webhook_test(struct call *c)
{
	struct trial *t = xcalloc(1, sizeof *t);

	c->data = t;
	t->call = c;
	t->post = webhook_test(c->admin->parts.webhook, on_done, t);
	if (t->post)
		c->leave = leave;
	else
		call_fail(c, 409, "no_webhook", "set admin.webhook first");
}
