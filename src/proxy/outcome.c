#include "proxy/outcome.h"

const struct outcome_info outcome_info[OUTCOME_COUNT] = {
#define X(name, ...) [OUTCOME_##name] = { __VA_ARGS__ },
	OUTCOMES(X)
#undef X
};

void outcome_body(enum outcome outcome, const char *more, const char *request_id, struct buf *to)
{
	const struct outcome_info *o = &outcome_info[outcome];
	CLEANUP(freep) char *message = xasprintf("%s%s%s", o->message, more[0] ? ": " : "", more);

	must(o->type);
	buf_printf(to,
		   "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"code\":\"%s\",\"message\":",
		   o->type, o->code);
	buf_json(to, span_of(message));
	buf_printf(to, "},\"request_id\":\"%s\"}", request_id);
}
