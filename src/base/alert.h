/*
 * alert.h - what an operator wants to be called for: told where it is noticed, heard in one place.
 *
 *      queue, proxy, redis ──alert()──> the listener (admin/webhook.h), if there is one
 *
 * Rooms that notice something know nobody who could send it. As with the log, whoever tells doesn't
 * wait and doesn't care. From the loop's thread only.
 */
#pragma once

#include <stdint.h>

enum alert_kind {
	ALERT_HELD,  /* account: the upstream limits it; `number`: for how many ms, 0: not known */
	ALERT_FREED, /* account: that is over */
	ALERT_STUCK, /* account: its turn doesn't move, and others wait */
	ALERT_TURN_LOST, /* account: somebody else may have had its turn as well */
	ALERT_LINE_LONG, /* account; `number`: how many were before who has just joined */
	ALERT_REDIS_GONE,
	ALERT_REDIS_BACK,
	ALERT_RELAY_GONE,
	ALERT_RELAY_BACK,
	ALERT_TEST, /* an operator wants to see one */
	ALERT_KIND_COUNT
};

/* Its word, for programs: "account_held" and so on. Static. */
const char *alert_word(enum alert_kind kind);

/* What it means, for people: a sentence without the account's name. Static. */
const char *alert_message(enum alert_kind kind);

/* What will say that it is over: for gone, back, and for held, freed; else ALERT_KIND_COUNT. */
enum alert_kind alert_end(enum alert_kind kind);

struct alert {
	enum alert_kind kind;
	const char *account; /* "": none; whoever hears of it copies what it keeps */
	int64_t number;      /* see enum alert_kind */
};

/* Who hears of them from now on, within alert(); NULL: nobody any more. */
void alert_listen(void (*fn)(void *arg, const struct alert *alert), void *arg);

void alert(enum alert_kind kind, const char *account, int64_t number);
