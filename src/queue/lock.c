#include "queue/lock.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

char *lock_owner_new(const char *instance)
{
	uint32_t boot;

	must(getrandom(&boot, sizeof boot, 0) == sizeof boot);
	return xasprintf("%s.%08x", instance, boot);
}

void lock_ticket_name(struct lock_ticket *t, const char *owner)
{
	unsigned char u[16];
	int n;

	must(getrandom(u, sizeof u, 0) == sizeof u);
	u[6] = (u[6] & 0x0f) | 0x40; /* RFC 9562, 5.4: a random UUID */
	u[8] = (u[8] & 0x3f) | 0x80;
	n = snprintf(t->id, sizeof t->id,
		     "%s:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		     owner, u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
		     u[11], u[12], u[13], u[14], u[15]);
	must(n > 0 && (size_t)n < sizeof t->id);
}

void lock_guest(const struct lock_ticket *t, struct order_guest *ret)
{
	const struct lock_standing *s = &t->standing;

	if (t->terms.order == QUEUE_ORDER_ARRIVAL)
		*ret = ORDER_NOBODY;
	else
		*ret = (struct order_guest){ s->share, s->weight,
					     s->yields ? t->terms.yield_rounds : 0 };
}

void lock_enter(struct lock_backend *b, struct lock_ticket *t)
{
	if (!t->standing.share[0])
		strcpy(t->standing.share, ORDER_NOBODY.share);
	if (!(t->standing.weight > 0))
		t->standing.weight = 1;
	t->terms.turns = MAX(1, MIN(t->terms.turns, QUEUE_TURNS_MAX));
	b->ops->enter(b, t);
}
