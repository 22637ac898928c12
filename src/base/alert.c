#include "base/alert.h"

#include <stddef.h>

static const struct {
	const char *word, *message;
} kinds[ALERT_KIND_COUNT] = {
	[ALERT_HELD] = { "account_held", "the upstream limits the account: its line waits" },
	[ALERT_FREED] = { "account_freed", "the account isn't limited any more: its line goes on" },
	[ALERT_STUCK] = { "account_stuck", "the account's turn doesn't move, and others wait" },
	[ALERT_TURN_LOST] = { "turn_lost", "a turn was lost: two may have run at once" },
	[ALERT_LINE_LONG] = { "line_long", "many wait for the account" },
	[ALERT_REDIS_GONE] = { "redis_gone", "Redis can't be asked" },
	[ALERT_REDIS_BACK] = { "redis_back", "Redis can be asked again" },
	[ALERT_RELAY_GONE] = { "relay_gone", "the upstream can't be reached" },
	[ALERT_RELAY_BACK] = { "relay_back", "the upstream can be reached again" },
	[ALERT_TEST] = { "test", "an operator asked for this; all is well" },
};

static struct {
	void (*fn)(void *arg, const struct alert *alert);
	void *arg;
} listener;

const char *alert_word(enum alert_kind kind)
{
	return kinds[kind].word;
}

const char *alert_message(enum alert_kind kind)
{
	return kinds[kind].message;
}

enum alert_kind alert_end(enum alert_kind kind)
{
	switch (kind) {
	case ALERT_HELD:
		return ALERT_FREED;
	case ALERT_REDIS_GONE:
		return ALERT_REDIS_BACK;
	case ALERT_RELAY_GONE:
		return ALERT_RELAY_BACK;
	default:
		return ALERT_KIND_COUNT;
	}
}

void alert_listen(void (*fn)(void *arg, const struct alert *alert), void *arg)
{
	listener.fn = fn;
	listener.arg = arg;
}

void alert(enum alert_kind kind, const char *account, int64_t number)
{
	if (listener.fn)
		listener.fn(listener.arg, &(struct alert){ kind, account, number });
}
