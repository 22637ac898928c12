/*
 * load.h - what the modes of the load generator share: connections that send a request, and tell
 * when its response has come.
 *
 * Each mode prints "begin" where its measured time begins and one line of JSON at its end, so that
 * whoever runs it can read other processes' counters at the same moments.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "message.h"

struct visitor;

struct load {
	int argc;
	char **argv;
	int epoll, port;
	int64_t count;
	struct visitor *visitors;
	int64_t refused;                     /* answers that weren't 200, and broken connections */
	void (*answered)(struct visitor *v); /* the whole response has come; may be NULL */
	message_body_fn body;                /* gets the visitor as `arg`; may be NULL */
	void *x;                             /* the mode's */
};

/* A connection of a client. */
struct visitor {
	struct load *load;
	int fd; /* -1: not connected */
	struct message in;
	struct buf out;
	size_t sent;
	int64_t index, asked_ns, answered_ns;
	char event[256]; /* the mode's: what has come of an event */
	size_t event_len;
	bool served; /* the mode's: has had an answer, or an event */
};

/* `count` visitors for --port, that aren't connected yet. */
void load_open(struct load *l, int argc, char **argv, int64_t count);
void load_close(struct load *l);

/* Begins to connect one; what it sends before it is connected goes out then. */
void visitor_connect(struct visitor *v);

/* All of them, and waits where the listener can't keep up. */
void load_connect(struct load *l);

/* With --until_eof 1: whether standard input has ended, so that whoever runs this has enough. */
bool load_is_over(const struct load *l) MUST_USE;
int64_t load_option(const struct load *l, const char *name, int64_t otherwise) MUST_USE;

/* Sends what `out` has; its beginning at once. */
void visitor_send(struct visitor *v);

/* Asks for the target with a key of that account; a body of about `bytes`, none with -1. */
void visitor_get(struct visitor *v, const char *target);
void visitor_post(struct visitor *v, int64_t account, const char *target, bool gated, size_t bytes);

/* Serves the visitors until that moment, or until nothing happens before it. */
void load_run(struct load *l, int64_t until_ns);

/* Tells that the measured time begins. */
void load_begin(void);

/* The modes: each serves one scenario, and prints its line. */
void load_bursts(struct load *l);
void load_turns(struct load *l);
void load_streams(struct load *l);
void load_held(struct load *l);
void load_posts(struct load *l);
void load_arrivals(struct load *l);
void load_rate(struct load *l);
