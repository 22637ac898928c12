/*
 * http_request.c - one request after another on a connection of libmicrohttpd.
 *
 *      IDLE ──head──> BEGINNING ──> RECEIVING ──all is in──> RECEIVED ──response──> SENDING ──> IDLE
 *                        │              │                                                       ^
 *                        │              └──response──> EARLY_RECEIVING ──> EARLY_RECEIVED ──────┤
 *                        └──refusal──> REFUSED ──> SENDING                     any ──cut──> CUT ─┘
 *                                                      RECEIVED ──large head──> EARLY_RECEIVED
 *
 * What MHD's documentation doesn't tell, and what this file is about:
 *
 *  - A suspended connection doesn't notice that its client hung up, and reports "completed OK"
 *    later. So each connection's descriptor is watched for EPOLLRDHUP from accept to close by a
 *    poll of our own: one registration a connection, stopped at the first event.
 *  - A dead connection without a timeout is found only behind older dead ones, so an idle client
 *    would keep it: see close_soon().
 *  - A response can be queued only before the body or after all of it. One that comes between is
 *    written by early_response.c, past MHD; MHD goes on to read and we throw away what it reads.
 *    So is one whose head has no room in the connection's pool: MHD would close without a word.
 *  - A reader that returns 0 without suspending is called again at once, for ever.
 *  - A cut of a connection that MHD isn't about to look at takes a shutdown() of its socket.
 *  - Before 1.0, MHD drops what follows a NUL, unfolds folded lines, takes a bare LF for a line's
 *    end and skips spaces, without telling. So the same bytes are looked at as it reads them: see
 *    head_scan.h; and the pieces that it made of them: see head_has_gaps(). It takes bare LFs within
 *    chunked bodies, too; so there the connection ends behind such a request, and
 *    whoever hid a second one in it has hidden it from us as well.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/early_response.h"
#include "http/head_scan.h"
#include "http/http_private.h"
#include "http/received.h"
#include "net/peer.h"
#include "net/watch.h"

enum {
	BLOCK_SIZE = 16 * 1024, /* of a streamed response that isn't chunked */
	HEAD_ROOM = 1024,       /* for what MHD adds to a response's head, and its alignments */
	RUNS_TO_END = 4,        /* of MHD, until it says that what it has sent is all */
};

#define TO(state) (1u << (state))

enum request_state {
	R_IDLE,            /* between requests */
	R_BEGINNING,       /* within begin() */
	R_REFUSED,         /* begin() has answered, and nothing more is to be read */
	R_RECEIVING,       /* the body comes */
	R_RECEIVED,        /* received() was called */
	R_SENDING,         /* the response is MHD's */
	R_EARLY_RECEIVING, /* the response is early_response.c's, and the body still comes */
	R_EARLY_RECEIVED,  /* the same, and received() was called */
	R_CUT,             /* the connection is about to be closed */
	R_STATE_COUNT,
};

static const unsigned next_states[R_STATE_COUNT] = {
	[R_IDLE] = TO(R_BEGINNING),
	[R_BEGINNING] = TO(R_REFUSED) | TO(R_RECEIVING) | TO(R_EARLY_RECEIVING) | TO(R_CUT),
	[R_REFUSED] = TO(R_SENDING) | TO(R_CUT),
	[R_RECEIVING] = TO(R_RECEIVED) | TO(R_EARLY_RECEIVING) | TO(R_CUT) | TO(R_IDLE),
	[R_RECEIVED] = TO(R_SENDING) | TO(R_EARLY_RECEIVED) | TO(R_CUT) | TO(R_IDLE),
	[R_SENDING] = TO(R_CUT) | TO(R_IDLE),
	[R_EARLY_RECEIVING] = TO(R_EARLY_RECEIVED) | TO(R_CUT) | TO(R_IDLE),
	[R_EARLY_RECEIVED] = TO(R_CUT) | TO(R_IDLE),
	[R_CUT] = TO(R_IDLE),
};

/* MHD serves one request of a connection at a time, so the request lives in its connection. */
struct http_request {
	struct http_server *server;
	struct server_shard *shard;
	struct MHD_Connection *mhd;
	struct watch *watch;    /* for a hang-up; NULL after one */
	struct job gone;        /* it has hung up while its response was sent, */
	unsigned gone_at;       /* when its shard had run so often */
	struct idle_entry idle; /* on a list while R_IDLE; has the descriptor */
	struct head_scan scan;  /* of what MHD reads, before 1.0 */
	char client[PEER_ADDRESS_MAX];
	enum request_state state;
	bool parked; /* MHD has suspended the connection: park() and wake() */

	/* of the request under way */
	void *x; /* what begin() returned */
	char *raw_target, *path;
	const char *target_at; /* where it stood in MHD's memory */
	struct request_head head;
	struct header *fields;

	/* of its response, once it is given */
	struct MHD_Response *response; /* until it is queued */
	unsigned status;
	bool ends_by_close; /* so a cut must not look like its end */
	struct early_response *early;
};

static void move(struct http_request *r, enum request_state to)
{
	must(next_states[r->state] & TO(to));
	r->state = to;
}

static const struct http_service *service(const struct http_request *r)
{
	return r->server->options.service;
}

/* MHD_suspend_connection() may only be called from MHD's own callbacks, so this, too. */
static void park(struct http_request *r)
{
	must(!r->parked);
	r->parked = true;
	MHD_suspend_connection(r->mhd);
}

void http_request_wake(struct http_request *r)
{
	early_response_wake(r->early);
	if (!r->parked)
		return;
	r->parked = false;
	MHD_resume_connection(r->mhd);
	server_shard_run(r->shard);
}

void http_request_cut(struct http_request *r)
{
	if (r->state != R_CUT)
		move(r, R_CUT);
	if (r->ends_by_close) /* a FIN would say that this was all */
		connections_reset(r->server->connections, r->idle.fd);
	shutdown(r->idle.fd, SHUT_RDWR);
	http_request_wake(r);
}

/* --- connections ------------------------------------------------------------------------------ */

static void become_idle(struct http_request *r, bool is_new)
{
	r->state = R_IDLE;
	connections_add_idle(r->server->connections, &r->idle, is_new);
}

static bool has_hung_up(const struct http_request *r)
{
	return !r->watch;
}

/* Its client is gone, or soon is: MHD closes it as it runs, among those with a timeout. */
static void close_soon(struct http_request *r)
{
	MHD_set_connection_option(r->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 60u);
	server_shard_run(r->shard);
}

/* The client has all that it was told: it was served, and what it didn't send isn't waited for. */
static void end_early(struct http_request *r)
{
	r->ends_by_close = false; /* a reset could take from it what it hasn't read yet */
	http_request_cut(r);
}

/*
 * MHD says that all is sent a step after it has sent it, and a client that has it may be gone by then. So
 * that step comes first. A shard that takes in large bodies is never done; so it isn't waited for that.
 */
static void on_gone(struct job *job)
{
	struct http_request *r = container_of(job, struct http_request, gone);

	if (server_shard_is_busy(r->shard) &&
	    server_shard_runs(r->shard) - r->gone_at < RUNS_TO_END)
		loop_defer_later(r->server->loop, &r->gone);
	else
		service(r)->gone(r->x);
}

static void leave_soon(struct http_request *r)
{
	r->gone_at = server_shard_runs(r->shard);
	server_shard_run(r->shard);
	loop_defer_later(r->server->loop, &r->gone);
}

/* A hang-up; or the client has read something of an early response. */
static void on_watched(void *arg, int error, int events)
{
	struct http_request *r = arg;

	if (!error && events == UV_WRITABLE) {
		watch_for(r->watch, UV_DISCONNECT);
		http_request_wake(r);
		return;
	}
	watch_clear(&r->watch); /* level-triggered: it would fire for ever */
	if (early_response_done(r->early))
		end_early(r);
	else if (r->state == R_IDLE)
		close_soon(r);
	else if (r->state != R_SENDING)
		service(r)->gone(r->x);
	else
		leave_soon(r);
}

static void on_received(void *arg, const char *ptr, size_t len)
{
	struct http_request *r = arg;

	head_scan_read(&r->scan, ptr, len);
}

static struct http_request *connection_opened(struct server_shard *of, struct MHD_Connection *mhd)
{
	struct http_server *s = server_shard_context(of);
	struct http_request *r = xcalloc(1, sizeof *r);

	s->connections_opened++;
	r->server = s;
	r->shard = of;
	r->mhd = mhd;
	r->idle.fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	peer_address(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
		     r->client);
	r->gone.run = on_gone;
	r->watch = watch_new(s->loop, r->idle.fd, on_watched, r);
	watch_for(r->watch, UV_DISCONNECT);
	if (s->is_lax)
		received_watch(r->idle.fd, on_received, r);
	become_idle(r, true);
	return r;
}

/* The next request finds nothing of the last one. */
static void request_clear(struct http_request *r)
{
	free(steal(&r->raw_target));
	free(steal(&r->path));
	free(steal(&r->fields));
	if (r->response)
		MHD_destroy_response(steal(&r->response));
	early_response_free(steal(&r->early));
	r->head = (struct request_head){ 0 };
	r->x = NULL;
	r->parked = r->ends_by_close = false;
}

static void connection_closed(struct http_request *r)
{
	must(r->state == R_IDLE);
	watch_clear(&r->watch);
	received_forget(r->idle.fd);
	head_scan_clear(&r->scan);
	idle_entry_remove(&r->idle);
	request_clear(r);
	server_shard_left(r->shard);
	connections_closing(r->server->connections, r->idle.fd, r->client);
	free(r);
}

void http_on_connection(void *shard, struct MHD_Connection *mhd, void **context,
			enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = connection_opened(shard, mhd);
	} else {
		connection_closed(*context);
		*context = NULL;
	}
}

/* --- requests --------------------------------------------------------------------------------- */

/* Sees the target before MHD decodes it; what it returns is the context of the request. */
void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_request *r =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	(void)cls;
	request_clear(r);
	r->target_at = target;
	r->raw_target = xstrdup(target);
	r->path = target_path(target);
	return r;
}

static enum MHD_Result add_field(void *cls, enum MHD_ValueKind kind, const char *name,
				 size_t name_len, const char *value, size_t value_len)
{
	struct http_request *r = cls;

	(void)kind;
	r->fields[r->head.fields.count++] =
		(struct header){ { name, name_len },
				 value_trim((struct span){ value ? value : "", value_len }) };
	return MHD_YES;
}

/* Both looks, as one sees the bytes and the other one what MHD made of them. */
static bool is_altered(struct http_request *r)
{
	bool was_seen = head_scan_taken(&r->scan, r->head.bytes, head_body_bytes(&r->head));

	return !was_seen || head_has_gaps(&r->head, r->target_at);
}

static void read_head(struct http_request *r, const char *method, const char *version)
{
	int n = MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, NULL, NULL);

	r->fields = xcalloc((size_t)n, sizeof *r->fields);
	r->head = (struct request_head){
		.method = span_of(method),
		.target = span_of(r->raw_target),
		.path = span_of(r->path),
		.version = span_of(version),
		.fields = { r->fields, 0 },
		.bytes = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
				 ->header_size,
	};
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, add_field, r);
	r->head.altered = r->server->is_lax && is_altered(r);
}

static void begin_request(struct http_request *r, const char *method, const char *version)
{
	read_head(r, method, version);
	idle_entry_remove(&r->idle);
	move(r, R_BEGINNING);
	r->x = service(r)->begin(r->server->options.ctx, r);
	if (r->state == R_BEGINNING)
		move(r, R_RECEIVING);
	if (has_hung_up(r)) /* seen before MHD had read the request */
		service(r)->gone(r->x);
}

static enum MHD_Result queue_response(struct http_request *r)
{
	struct MHD_Response *response = steal(&r->response);
	enum MHD_Result ok;

	move(r, R_SENDING);
	if (connections_are_ending(r->server->connections) ||
	    (r->server->is_lax && head_is_chunked(&r->head)))
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	ok = MHD_queue_response(r->mhd, r->status, response);
	MHD_destroy_response(response); /* MHD has its own reference now */
	return ok;
}

/* Part of the body. Where the service doesn't take all of it, MHD keeps the rest. */
static void feed(struct http_request *r, const char *data, size_t *len)
{
	*len -= service(r)->body(r->x, data, *len);
	if (*len && r->state != R_CUT)
		park(r);
}

static void all_is_in(struct http_request *r)
{
	if (r->state == R_RECEIVING)
		move(r, R_RECEIVED);
	else if (r->state == R_EARLY_RECEIVING)
		move(r, R_EARLY_RECEIVED);
	else
		return;
	service(r)->received(r->x);
}

/*
 * MHD's handler: first without data (headers), then with data (body), then without data again
 * (everything is in), and that once more after each resume until a response is queued.
 */
enum MHD_Result http_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *data,
				size_t *len, void **context)
{
	struct http_request *r = *context;

	(void)cls, (void)mhd, (void)url;
	if (r->state == R_IDLE) {
		begin_request(r, method, version);
		return r->state == R_REFUSED ? queue_response(r) : MHD_YES;
	}
	if (r->state != R_CUT && *len) {
		feed(r, data, len);
		return MHD_YES;
	}
	all_is_in(r);
	if (r->state == R_CUT || early_response_done(r->early))
		return MHD_NO; /* closes */
	if (r->response)
		return queue_response(r);
	park(r);
	return MHD_YES;
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **context,
		       enum MHD_RequestTerminationCode code)
{
	struct http_request *r = *context;
	bool sent, may_go_on;

	(void)cls, (void)mhd;
	*context = NULL;
	if (!r || r->state == R_IDLE)
		return;
	sent = early_response_done(r->early) ||
	       (r->state == R_SENDING && code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	may_go_on = sent && !r->ends_by_close && !has_hung_up(r);
	job_cancel(&r->gone);
	service(r)->done(r->x, sent);
	request_clear(r);
	become_idle(r, false);
	if (!may_go_on)
		close_soon(r);
}

/* --- responses -------------------------------------------------------------------------------- */

static ssize_t on_read(void *cls, uint64_t at, char *to, size_t max)
{
	struct http_request *r = cls;
	ssize_t n = r->state == R_CUT ? HTTP_READ_CUT : service(r)->read(r->x, to, max);

	(void)at;
	if (n > 0)
		return n;
	if (n == HTTP_READ_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == HTTP_READ_CUT) {
		if (r->ends_by_close)
			connections_reset(r->server->connections, r->idle.fd);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	park(r);
	return 0;
}

static ssize_t read_early(void *arg, char *to, size_t max)
{
	struct http_request *r = arg;

	return service(r)->read(r->x, to, max);
}

static void on_early(void *arg, enum early_response_state state)
{
	struct http_request *r = arg;

	if (state == EARLY_RESPONSE_DONE) {
		shutdown(r->idle.fd, SHUT_WR);
		http_request_wake(r);
	} else if (state == EARLY_RESPONSE_BLOCKED && r->watch) {
		watch_for(r->watch, UV_DISCONNECT | UV_WRITABLE);
	} else if (state == EARLY_RESPONSE_CUT) {
		connections_reset(r->server->connections, r->idle.fd);
		http_request_cut(r);
	}
}

static void respond_early(struct http_request *r, const struct http_response *response)
{
	const struct early_response_client client = {
		.fd = r->idle.fd,
		.is_1_0 = head_is_1_0(&r->head),
		.is_head = head_is_head(&r->head),
		.reason = MHD_get_reason_phrase_for((unsigned)response->status),
		.read = read_early,
		.x = r,
		.changed = on_early,
		.owner = r,
	};

	r->server->early_responses += r->state != R_RECEIVED;
	move(r, r->state == R_RECEIVED ? R_EARLY_RECEIVED : R_EARLY_RECEIVING);
	r->early = early_response_new(r->server->loop, &client, response);
}

static void add_response_field(struct MHD_Response *response, const struct header *f)
{
	CLEANUP(freep) char *name = xstrndup(f->name.ptr, f->name.len);
	/* MHD takes no empty value; white space around a value doesn't belong to it. */
	CLEANUP(freep)
	char *value = f->value.len ? xstrndup(f->value.ptr, f->value.len) : xstrdup(" ");

	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_debug("a response field was left out", LOG_STR("name", name));
}

static struct MHD_Response *make_response(struct http_request *r, const struct http_response *from)
{
	bool chunked = from->length < 0 && !head_is_1_0(&r->head);
	uint64_t length = from->length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)from->length;
	/* A chunked response is read into the connection's own memory: the block isn't used. */
	size_t block = chunked ? 1 : (size_t)MAX(1, MIN(length, BLOCK_SIZE));
	struct MHD_Response *made;

	if (from->streamed)
		made = MHD_create_response_from_callback(length, block, on_read, r, NULL);
	else
		made = MHD_create_response_from_buffer(from->body.len, (void *)from->body.ptr,
						       MHD_RESPMEM_MUST_COPY);
	must(made);
	/* Without a body, "chunked" would be our invention; MHD leaves it out only if it closes. */
	if (from->streamed && from->length < 0 && (head_is_head(&r->head) || from->status == 304))
		MHD_set_response_options(made, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	return made;
}

/* Whether it can be given to MHD before the body: then nothing of that is read. */
static bool is_refusal(const struct http_request *r, const struct http_response *response)
{
	return r->state == R_BEGINNING && (response->refuses || head_expects_continue(&r->head));
}

/*
 * Whether the head fits into MHD's pool: beside the request's fields, and what it has read, which is
 * the request's head, and as much of the next request as half of the pool has room for.
 */
static bool has_room(const struct http_request *r, const struct http_response *response)
{
	size_t pool = r->server->pool_bytes, bytes = HEAD_ROOM;

	bytes += MAX(pool / 2, r->head.bytes) + r->head.fields.count * HTTP_FIELD_BYTES;
	for (size_t i = 0; i < response->count; i++)
		bytes += response->fields[i].name.len + response->fields[i].value.len + 4;
	return bytes <= pool;
}

void http_request_respond(struct http_request *r, const struct http_response *response)
{
	if (r->state == R_CUT)
		return; /* nobody hears it */
	must(!r->response &&
	     (r->state == R_BEGINNING || r->state == R_RECEIVING || r->state == R_RECEIVED));
	r->ends_by_close = response->streamed && response->length < 0 && head_is_1_0(&r->head);
	if (is_refusal(r, response)) {
		move(r, R_REFUSED);
	} else if ((r->state != R_RECEIVED && head_has_body(&r->head)) || !has_room(r, response)) {
		respond_early(r, response);
		return;
	}
	r->response = make_response(r, response);
	r->status = (unsigned)response->status;
	for (size_t i = 0; i < response->count; i++)
		add_response_field(r->response, &response->fields[i]);
	http_request_wake(r);
}

const struct request_head *http_request_head(const struct http_request *r)
{
	return &r->head;
}

const char *http_request_client(const struct http_request *r)
{
	return r->client;
}
