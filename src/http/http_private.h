/*
 * http_private.h - what http_server.c (the listener, and MHD's daemons) and http_request.c (what
 * happens on its connections) know of each other. Nobody else includes it, or microhttpd.h.
 */
#pragma once

#include <microhttpd.h>

#include "http/http_server.h"
#include "http/server_shards.h"

struct http_server {
	struct loop *loop;
	struct http_server_options options;
	struct server_shards *shards; /* MHD's daemons */
	struct connections *connections;
	size_t pool_bytes; /* MHD's memory of a connection: see http_server.c */
	int64_t early_responses;
	int64_t connections_opened; /* by MHD, since start */
	bool is_lax;                /* MHD reads more than it should, and tells nobody */
};

enum { HTTP_FIELD_BYTES = 72 }; /* what MHD keeps of each field, and a little more */

/* MHD's callbacks, as it declares them; `shard` is the connection's. */
void http_on_connection(void *shard, struct MHD_Connection *mhd, void **context,
			enum MHD_ConnectionNotificationCode code);
void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *data,
				size_t *len, void **context);
void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
		       enum MHD_RequestTerminationCode code);
