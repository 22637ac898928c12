#include "control.h"

#include <stdlib.h>

enum { WAIT_MS = 10000, WAIT_MAX_MS = 86400000 };

static bool read_number(struct span s, int64_t *ret)
{
	char text[20], *end;

	if (!s.len || s.len >= sizeof text)
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	*ret = strtoll(text, &end, 10);
	return !*end && *ret >= 0;
}

static void set_string(char **at, struct span value)
{
	free(*at);
	*at = xstrndup(value.ptr, value.len);
}

static bool read_parameter(struct condition *c, struct span name, struct span value)
{
	if (span_eq(name, SPAN("account")))
		set_string(&c->account, value);
	else if (span_eq(name, SPAN("tag")))
		set_string(&c->tag, value);
	else if (span_eq(name, SPAN("active")))
		return read_number(value, &c->active);
	else if (span_eq(name, SPAN("seen")))
		return read_number(value, &c->seen);
	else if (span_eq(name, SPAN("times")))
		return read_number(value, &c->times);
	else if (span_eq(name, SPAN("limit_ms")))
		return read_number(value, &c->limit_ms) && c->limit_ms <= WAIT_MAX_MS;
	else
		return span_eq(name, SPAN("phase")) && record_phase_read(value, &c->phase);
	return true;
}

static enum control_answer read_condition(struct span query, struct buf *error,
					  struct condition *ret)
{
	struct condition c = { .active = -1, .seen = -1, .times = 1, .limit_ms = WAIT_MS };
	struct span parameter;

	while (span_next(&query, '&', &parameter)) {
		const char *is = memchr(parameter.ptr, '=', parameter.len);
		size_t n = is ? (size_t)(is - parameter.ptr) : 0;

		if (!is || !read_parameter(&c, (struct span){ parameter.ptr, n },
					   (struct span){ is + 1, parameter.len - n - 1 })) {
			buf_printf(error, "/__relay/wait doesn't understand \"%.*s\"",
				   SPAN_ARG(parameter));
			condition_clear(&c);
			return CONTROL_BAD;
		}
	}
	*ret = c;
	return CONTROL_WAIT;
}

void condition_clear(struct condition *c)
{
	free(c->account);
	free(c->tag);
	*c = (struct condition){ 0 };
}

enum control_answer control(struct recorder *r, const struct incoming *in, struct buf *ret_text,
			    struct condition *ret_condition)
{
	if (span_eq(in->path, SPAN("/__relay/wait")))
		return read_condition(in->query, ret_text, ret_condition);
	if (span_eq(in->path, SPAN("/__relay/stats"))) {
		recorder_print(r, ret_text);
		return CONTROL_ANSWER;
	}
	if (span_eq(in->path, SPAN("/__relay/reset"))) {
		recorder_reset(r);
		buf_puts(ret_text, "{\"reset\":true}\n");
		return CONTROL_ANSWER;
	}
	if (span_eq(in->path, SPAN("/__relay/go"))) {
		buf_puts(ret_text, "{\"go\":true}\n");
		return CONTROL_GO;
	}
	buf_puts(ret_text, "there is stats, reset, wait and go");
	return CONTROL_BAD;
}
