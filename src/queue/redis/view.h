/*
 * view.h - what scripts reply about an account, for operators. Pure functions.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "base/span.h"
#include "queue/query.h"

/* The bytes of a string; of anything else, none. Lives as long as the reply. */
struct span redis_text(const redisReply *r);

/*
 * Fills in all of a zeroed view but its name, from what look.lua replies. False if it is no such
 * reply; takes NULL. The caller clears `v`, also then (query.h).
 */
bool redis_view_read(const redisReply *reply, struct lock_view *v) MUST_USE;

/* The same for what survey.lua replies: accounts and beacons are added to `r`. */
bool redis_survey_read(const redisReply *reply, struct query_reply *r) MUST_USE;
