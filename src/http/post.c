#include "http/post.h"

#include <stdlib.h>

#include "base/mem.h"
#include "config/config.h"
#include "http/http_client.h"

enum { CONNECT_MS = 5000 };

struct post_client {
	struct loop *loop;
	struct config config; /* of which the client reads `upstream` only */
	struct http_client *http;
};

struct post {
	struct http_call call;
	struct job tell;
	struct loop *loop;
	struct curl_slist *fields;
	char error[CURL_ERROR_SIZE];
	int status;
	void (*done)(void *arg, int status, const char *error);
	void *arg;
};

#define SET(curl, option, value) must(curl_easy_setopt(curl, option, value) == CURLE_OK)

struct post_client *post_client_new(struct loop *loop)
{
	struct post_client *c = xcalloc(1, sizeof *c);
	static char none[] = "";

	c->loop = loop;
	c->config.upstream.url = none; /* each post has its own */
	c->config.upstream.proxy = none;
	c->config.upstream.ca_file = none;
	c->config.upstream.unix_socket = none;
	c->config.upstream.tls_verify = true;
	c->config.upstream.connect_timeout_ms = CONNECT_MS;
	c->http = http_client_new(loop, &c->config);
	return c;
}

void post_client_free(struct post_client *c)
{
	if (!c)
		return;
	http_client_free(c->http);
	free(c);
}

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
	(void)data, (void)arg;
	return size * count;
}

static void tell(struct job *job)
{
	struct post *p = container_of(job, struct post, tell);

	p->done(p->arg, p->status, p->error);
}

static void on_ended(struct http_call *call, CURLcode code)
{
	struct post *p = container_of(call, struct post, call);
	long status = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(call->easy->curl, CURLINFO_RESPONSE_CODE, &status);
	else if (!p->error[0])
		snprintf(p->error, sizeof p->error, "%s", curl_easy_strerror(code));
	p->status = (int)status;
	http_call_close(call);
	loop_defer(p->loop, &p->tell);
}

static void add_field(struct post *p, const char *line)
{
	p->fields = curl_slist_append(p->fields, line);
	must(p->fields);
}

static void set_fields(struct post *p, const struct post_request *request)
{
	CLEANUP(buf_clear) struct buf type = { 0 };

	buf_printf(&type, "content-type: %s", request->type);
	add_field(p, buf_str(&type));
	add_field(p, "user-agent: turnstile/" TURNSTILE_VERSION);
	add_field(p, "expect:"); /* curl would wait for a 100 */
	for (const char *const *f = request->fields; *f; f++)
		add_field(p, *f);
}

struct post *post_new(struct post_client *c, const struct post_request *request,
		      void (*done)(void *arg, int status, const char *error), void *arg)
{
	struct post *p = xcalloc(1, sizeof *p);
	CURL *curl;

	p->loop = c->loop;
	p->tell.run = tell;
	p->call.ended = on_ended;
	p->done = done;
	p->arg = arg;
	set_fields(p, request);
	http_call_open(&p->call, c->http);
	curl = p->call.easy->curl;
	SET(curl, CURLOPT_URL, request->url);
	SET(curl, CURLOPT_POST, 1L);
	SET(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	SET(curl, CURLOPT_COPYPOSTFIELDS, request->body.ptr);
	SET(curl, CURLOPT_HTTPHEADER, p->fields);
	SET(curl, CURLOPT_TIMEOUT_MS, (long)request->limit_ms);
	SET(curl, CURLOPT_ERRORBUFFER, p->error);
	SET(curl, CURLOPT_WRITEFUNCTION, drop);
	http_call_start(&p->call);
	return p;
}

void post_free(struct post *p)
{
	if (!p)
		return;
	http_call_close(&p->call);
	job_cancel(&p->tell);
	curl_slist_free_all(p->fields);
	free(p);
}
