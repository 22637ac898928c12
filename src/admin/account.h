/*
 * account.h - one account as JSON, from what a backend says of it. Pure functions.
 */
#pragma once

#include <cjson/cJSON.h>

#include "proxy/quota.h"
#include "proxy/stats.h"
#include "queue/query.h"

/* For a list: who holds, how many wait; of `quotas`, what the upstream said of it. */
cJSON *account_brief(const struct lock_view *v, const struct quotas *quotas) MUST_USE;

/*
 * The same with its waiters and what its latest turns took; and of requests that are in process `p` (NULL: none are),
 * what only that knows.
 */
cJSON *account_whole(const struct lock_view *v, const struct quotas *quotas, const struct proxy *p)
	MUST_USE;

/* Whether anybody uses it, or did so lately that there is something to show of it. */
bool account_is_of_interest(const struct lock_view *v);

enum account_state {
	ACCOUNT_FREE,
	ACCOUNT_PACING, /* the next one has the turn, the delay isn't over */
	ACCOUNT_BUSY,
	ACCOUNT_PAUSED, /* by an operator; a turn may still be under way */
	ACCOUNT_HELD,   /* by the upstream's limit, and nobody has a turn */
	ACCOUNT_STUCK,  /* it won't go on by itself, or not soon */
	ACCOUNT_STATES,
};

extern const char *const account_state_name[ACCOUNT_STATES];

/* `stalled`: its process says that the holder doesn't move. `*ret_why`: of a stuck one, or NULL. */
enum account_state account_state(const struct lock_view *v, bool stalled, const char **ret_why);
