#include "http/forward.h"

#include <stdlib.h>

static const struct span fixed[] = {
	SPAN("Connection"), SPAN("Keep-Alive"),     SPAN("Proxy-Connection"),
	SPAN("TE"),         SPAN("Trailer"),        SPAN("Transfer-Encoding"),
	SPAN("Upgrade"),    SPAN("Content-Length"),
};

void field_list_add(struct field_list *l, struct span name, struct span value)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 32;
		l->fields = xrealloc(l->fields, l->cap * sizeof *l->fields);
	}
	l->fields[l->count++] = (struct header){ name, value };
}

void field_list_clear(struct field_list *l)
{
	free(l->fields);
	*l = (struct field_list){ 0 };
}

void field_list_replace(struct field_list *l, struct span name, struct span value)
{
	for (size_t i = 0; i < l->count; i++) {
		if (span_ieq(l->fields[i].name, name))
			l->fields[i].value = value;
	}
}

static bool is_hop_by_hop(const struct headers *h, struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		if (span_ieq(name, fixed[i]))
			return true;
	}
	return headers_connection_names(h, name);
}

/* The values of all fields of that name, with commas between, and `last` behind them. */
static struct span joined(const struct headers *h, struct span name, const char *last,
			  struct buf *texts)
{
	size_t start = texts->len;

	for (size_t i = 0; i < h->count; i++) {
		if (span_ieq(h->fields[i].name, name) && h->fields[i].value.len) {
			buf_append(texts, h->fields[i].value.ptr, h->fields[i].value.len);
			buf_puts(texts, ", ");
		}
	}
	buf_puts(texts, last);
	return (struct span){ texts->data + start, texts->len - start };
}

void forward_request_fields(const struct headers *from, struct span host, const char *client,
			    struct span proto, struct buf *texts, struct field_list *to)
{
	static const struct span xff = SPAN("X-Forwarded-For"), xfp = SPAN("X-Forwarded-Proto");
	size_t room = 64;

	for (size_t i = 0; i < from->count; i++)
		room += from->fields[i].value.len + 2;
	buf_reserve(texts, room); /* so that spans into it stay valid */

	for (size_t i = 0; i < from->count; i++) {
		struct span name = from->fields[i].name;

		if (is_hop_by_hop(from, name) || span_ieq(name, SPAN("Expect")) ||
		    span_ieq(name, xff) || (host.ptr && span_ieq(name, SPAN("Host"))))
			continue;
		field_list_add(to, name, from->fields[i].value);
	}
	if (host.ptr)
		field_list_add(to, SPAN("Host"), host);
	if (client[0])
		field_list_add(to, xff, joined(from, xff, client, texts));
	else if (headers_get(from, xff).ptr)
		field_list_add(to, xff, headers_get(from, xff));
	if (!headers_get(from, xfp).ptr)
		field_list_add(to, xfp, proto);
}

void forward_response_fields(const struct headers *from, struct field_list *to)
{
	for (size_t i = 0; i < from->count; i++) {
		if (!is_hop_by_hop(from, from->fields[i].name))
			field_list_add(to, from->fields[i].name, from->fields[i].value);
	}
}

int64_t headers_content_length(const struct headers *h)
{
	struct span s = headers_get(h, SPAN("Content-Length"));
	int64_t n = 0;

	if (!s.len || headers_get(h, SPAN("Transfer-Encoding")).ptr)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > (INT64_MAX - 9) / 10)
			return -1;
		n = n * 10 + (s.ptr[i] - '0');
	}
	return n;
}
