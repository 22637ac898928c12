/*
 * reach.h - whether the upstream can be reached, and if not, since when.
 *
 *      UP ──a call that couldn't connect──> DOWN ──a connection, of anybody's or a probe──> UP
 *
 * While it is down, it is tried by connecting (TLS and a proxy on the way included) and closing:
 * after 100 ms, then less often, up to every 500 ms. So who waits for it hears of it soon, however
 * many wait, and it is known also when nobody asks for anything.
 */
#pragma once

#include <stdint.h>

#include "base/loop.h"
#include "http/http_client.h"

struct reach;

/* `back` is called from the loop when it is up again. All outlive it. */
struct reach *reach_new(struct loop *loop, struct http_client *client, void (*back)(void *arg),
			void *arg) MUST_USE;

/* Before the client. Takes NULL. */
void reach_free(struct reach *r);

/* No connection could be made, for `cause`: logged once an outage. */
void reach_failed(struct reach *r, const char *cause);

/* One was made, or a kept one is still good. */
void reach_succeeded(struct reach *r);

/* By clock_ms(); 0: it is up, as far as anybody knows. */
int64_t reach_down_since_ms(const struct reach *r);
