/*
 * keeper_mail.h - what the keeper's thread found out, on its way to the loop.
 */
#pragma once

#include "queue/redis/keeper.h"

struct keeper_mail;

/* `fn` is called from the loop, in the order in which news were put in. */
struct keeper_mail *keeper_mail_new(struct loop *loop, keeper_fn fn, void *arg) MUST_USE;

/* From any thread; copied. */
void keeper_mail_put(struct keeper_mail *m, const struct keeper_news *news);

/* What is still on its way is dropped. Nobody may put anything in any more. */
void keeper_mail_free(struct keeper_mail *m);
