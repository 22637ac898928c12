/*
 * exchange.h - one client request and its response, from accept to end. Private to proxy/.
 *
 *      READING ──> WAITING ──> PACING ──> FORWARDING ──> STREAMING ──> DRAINING ──> DYING
 *      body comes  in line     delay      upstream       response      turn given   told the
 *                                         asked          flows         back         client, then freed
 *                                           └──────────────┴──> ABANDONED ──────────────^
 *                                                             (upstream.finish_abandoned)
 *
 * Events record a fact (in the exchange, its place, its transfer) and ask for exchange_advance(),
 * which makes state and facts agree. A state is an enum, a list and a row of a table; one function
 * moves. Every end goes through exchange_finish().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/discard.h"
#include "base/list.h"
#include "base/loop.h"
#include "http/forward.h"
#include "http/http_server.h"
#include "http/pipe.h"
#include "http/upstream.h"
#include "proxy/bodies.h"
#include "proxy/outcome.h"
#include "proxy/refusals.h"
#include "proxy/stats.h"
#include "queue/outlook.h"
#include "queue/queue.h"
#include "queue/shadow.h"
#include "request/client.h"
#include "request/request.h"

enum exchange_state {
	X_READING,
	X_WAITING,
	X_PACING,
	X_FORWARDING,
	X_STREAMING,
	X_ABANDONED, /* its client has left; the upstream goes on, and so does the turn */
	X_DRAINING,
	X_DYING,
	X_STATE_COUNT,
};

/* What the client has done so far: facts, recorded by intake.c. */
enum client_state {
	CLIENT_SENDING, /* its body isn't all here */
	CLIENT_WAITING, /* its request is complete */
	CLIENT_GONE,    /* it hung up; the connection is still ours to cut */
	CLIENT_SERVED,  /* all was sent; there is no request any more */
	CLIENT_CLOSED,  /* the connection is closed; there is no request any more */
};

/*
 * What the client has been told: a fact of its own, written by reply.c alone. What the exchange does
 * follows from its state; what may still be said to the client, from this.
 *
 *      NOTHING ──> PINGS ──> HEAD ──> ALL       any but ERROR ──> CUT
 *         └──────────┴──> ERROR       (PINGS ──> ALL: an error of the upstream, as an event)
 */
enum told {
	TOLD_NOTHING,
	TOLD_PINGS, /* 200, an event stream, of which there were pings only: it waits for its turn */
	TOLD_HEAD,  /* the upstream's status and fields; the body goes through `download` */
	TOLD_ALL,   /* the same, and the last byte of the body is in `download` or gone out */
	TOLD_ERROR, /* an error of ours, whole */
	TOLD_CUT,   /* nothing more: it must not take what it has for all */
	TOLD_COUNT,
};

enum { REQUEST_ID_MAX = 40 };

struct proxy {
	struct loop *loop;
	const struct config *config;
	struct queue *queue;
	struct shadows *shadows; /* of requests that are only observed */
	struct upstream *upstream;
	struct http_server *server;
	struct discard *discard; /* of large bodies */
	struct list in_state[X_STATE_COUNT];
	int64_t count_in_state[X_STATE_COUNT];
	struct bodies *bodies; /* that are kept, of all exchanges */
	int64_t waiting_bytes; /* of those that are in line */
	struct proxy_counters counters;
	struct tally *tally;
	struct tally *people; /* the same by share, see stats.h */
	struct quotas *quotas;
	struct history *history;
	struct first_bytes first_bytes;
	struct refusals refusals;
	struct outlooks *outlooks;          /* for those who ask about their line */
	int64_t relay_queue_quiet_until_ms; /* no warning of a queue in the relay before this */
	struct buf too_many; /* what connections hear that are one too many of their address */
	uint64_t id_of_boot, requests; /* what request ids are made of: random, and counted */
	bool ending, draining;         /* takes nobody new; and refuses who has no turn yet */
	struct job check_idle;
	void (*idle)(void *arg);
	void *idle_arg;
};

struct exchange {
	struct proxy *proxy;
	struct list link; /* on proxy->in_state[state] */
	enum exchange_state state;
	enum outcome outcome; /* from exchange_finish() on */
	struct job advance;
	struct timer *watchdog; /* watchdog.h */
	char id[REQUEST_ID_MAX];

	struct http_request *request; /* NULL from CLIENT_SERVED on */
	enum client_state client;
	enum told told;
	int status;       /* as told; if it was told nothing, what the outcome stands for */
	int event_status; /* what an error event stood for, behind TOLD_PINGS; 0: there was none */
	struct timer *heartbeat; /* NULL: it gets none */
	struct buf event; /* from PINGS on: the error event to be sent last; before, its data */
	size_t event_sent;

	struct line *line; /* it asks about its line, see line.h; NULL: it doesn't */
	struct look *look; /* while the body of a request that may be gated comes in */
	struct request_verdict verdict;
	struct buf body;          /* the whole body; of a streamed one, what was kept until then */
	struct body_account kept; /* … where it is charged */
	size_t body_taken;        /* of that, by the upstream: where it is streamed */
	bool body_streamed;       /* it, or the rest, goes through `upload` */
	struct pipe upload, download;

	struct account_terms terms; /* of a gated one */
	struct queue_place place;
	struct shadow *shadow; /* in place of `place` where requests are only observed */
	struct transfer *transfer;
	struct timer *again; /* of one that is parked (forwarding.h): when it is looked at again */
	int64_t asked_ms;    /* since when the upstream is asked: a refusal begins it anew */
	int64_t again_ms;    /* of one that is parked: not before this */
	bool refused;        /* the same: the upstream was there, and refused it */
	int64_t refusal_ms; /* since when a refusal is read that may be one for queue.retry; 0: none */
	int64_t abandoned_ms; /* clock_ms(): its client left it; 0: it didn't */
	int64_t retries;      /* how often it was to be sent again after a refusal */

	/* for the log */
	char *method, *path;   /* the path without its query */
	char *error;           /* what curl says went wrong, or NULL */
	char *held_refusal;    /* with OUTCOME_ACCOUNT_LIMITED: see limited_read(); NULL: none */
	int64_t held_until_ms; /* the same: clock_ms() */
	bool was_counted;      /* what its upstream answered: in the quotas */
	struct buf limit_body; /* of a refusal by the upstream: its beginning, see limited.h */
	char peer_address[CLIENT_ADDRESS_MAX];
	char client_address[CLIENT_ADDRESS_MAX]; /* the peer's, or what trusted proxies say */
	int upstream_status;                     /* 0: it didn't answer */
	int64_t started_ms, moved_ms; /* moved: the last time a byte came in or went out */
	int64_t received_ms;          /* the last byte of its request; 0: that isn't here */
	int64_t sent_ms;     /* when the upstream was asked, for the first time; 0: it wasn't */
	int64_t answered_ms; /* the first byte of an answer, pings apart; 0: there was none */
	char *upstream_id;   /* what the upstream calls it, or NULL */
	int64_t wait_ms;     /* from joining to the upstream; -1 while that isn't over */
	int64_t hold_ms;     /* -1 while no turn was given back */
	bool turn_used;      /* it counts: for the delay, and in metrics */
	int64_t would_position, would_wait_ms; /* where observed; -1: not, or not known */
	int64_t bytes_in, bytes_out;
	int64_t rate_since_ms, rate_bytes; /* where the watchdog's look at the rate began */
};

/* Begins in X_READING. Freed by itself, when it is DYING and its client is done. */
struct exchange *exchange_new(struct proxy *p, struct http_request *request) MUST_USE;

/* A fact has changed: the exchange looks at it before the loop blocks next. */
void exchange_poke(struct exchange *x);

/*
 * Ends an exchange: whatever its state, from any callback, any number of times; only the first
 * counts. Gives back turn or place, ends the transfer, tells the client. The object lives on until
 * its client is done and no callback is on the stack; then the exchange is logged.
 */
void exchange_finish(struct exchange *x, enum outcome outcome);

/* Asks the upstream now, without a turn, with the body as it comes. From X_READING. */
void exchange_stream_up(struct exchange *x);

/* The name of a state, for logs and metrics. */
const char *exchange_state_name(enum exchange_state state);
