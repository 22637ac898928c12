#include "script.h"

#include <errno.h>
#include <stdlib.h>

static const struct number {
	struct span name;
	size_t offset;
	int64_t min, max;
} numbers[] = {
	{ SPAN("X-Relay-Events"), offsetof(struct script, events), 0, 1000000 },
	{ SPAN("X-Relay-Event-Bytes"), offsetof(struct script, event_bytes), 0, 1 << 20 },
	{ SPAN("X-Relay-Interval-Ms"), offsetof(struct script, interval_ms), 0, 3600000 },
	{ SPAN("X-Relay-Delay-Ms"), offsetof(struct script, delay_ms), 0, 3600000 },
	{ SPAN("X-Relay-Read-Pause-Ms"), offsetof(struct script, read_pause_ms), 0, 3600000 },
	{ SPAN("X-Relay-Status"), offsetof(struct script, status), 200, 599 },
	{ SPAN("X-Relay-Cut-After"), offsetof(struct script, cut_after), 0, 1000000 },
	{ SPAN("X-Relay-Bytes"), offsetof(struct script, bytes), 0, (int64_t)1 << 40 },
	{ SPAN("X-Relay-First"), offsetof(struct script, first), 1, 1000000 },
};

static const struct word {
	struct span name, word;
	size_t offset;
	int value;
} words[] = {
#define FAULT(word, value)                                                               \
	{                                                                                \
		SPAN("X-Relay-Fault"), SPAN(word), offsetof(struct script, fault), value \
	}
#define FRAMING(word, value)                                                                 \
	{                                                                                    \
		SPAN("X-Relay-Framing"), SPAN(word), offsetof(struct script, framing), value \
	}
	FAULT("refuse-late", FAULT_REFUSE_LATE),
	FAULT("reset", FAULT_RESET),
	FAULT("garbage", FAULT_GARBAGE),
	FAULT("silent", FAULT_SILENT),
	FAULT("cut-headers", FAULT_CUT_HEADERS),
	FAULT("cut-body", FAULT_CUT_BODY),
	FAULT("stall", FAULT_STALL),
	FAULT("close-idle", FAULT_CLOSE_IDLE),
	FAULT("stale", FAULT_STALE),
	FAULT("early-413", FAULT_EARLY_413),
	FAULT("interim", FAULT_INTERIM),
	FRAMING("chunked", FRAMING_CHUNKED),
	FRAMING("length", FRAMING_LENGTH),
	FRAMING("close", FRAMING_CLOSE),
#undef FAULT
#undef FRAMING
};

static bool read_number(const struct header *h, struct script *s)
{
	char text[24], *end;
	long long n;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!span_ieq(h->name, numbers[i].name))
			continue;
		if (!h->value.len || h->value.len >= sizeof text)
			return false;
		memcpy(text, h->value.ptr, h->value.len);
		text[h->value.len] = 0;
		n = strtoll(text, &end, 10);
		if (*end || n < numbers[i].min || n > numbers[i].max)
			return false;
		memcpy((char *)s + numbers[i].offset, &(int64_t){ n }, sizeof(int64_t));
		return true;
	}
	return false;
}

static bool read_word(const struct header *h, struct script *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (span_ieq(h->name, words[i].name) && span_eq(h->value, words[i].word)) {
			memcpy((char *)s + words[i].offset, &words[i].value, sizeof(int));
			return true;
		}
	}
	return false;
}

static bool read_tool(const struct header *h, struct script *s)
{
	const char *space = memchr(h->value.ptr, ' ', h->value.len);

	if (!space || space[1] != '{')
		return false;
	s->tool = (struct span){ h->value.ptr, (size_t)(space - h->value.ptr) };
	s->input = (struct span){ space + 1, h->value.len - s->tool.len - 1 };
	return true;
}

static bool read_other(const struct header *h, struct script *s)
{
	if (span_ieq(h->name, SPAN("X-Relay-Tag")))
		s->tag = h->value;
	else if (span_ieq(h->name, SPAN("X-Relay-Tool")))
		return read_tool(h, s);
	else if (span_ieq(h->name, SPAN("X-Relay-Uncounted")))
		s->uncounted = true;
	else
		return span_ieq(h->name, SPAN("X-Relay-Header"));
	return true;
}

int script_read(const struct headers *headers, struct script *ret, struct buf *error)
{
	struct script s = SCRIPT_DEFAULT;

	for (size_t i = 0; i < headers->count; i++) {
		const struct header *h = &headers->fields[i];

		if (h->name.len < 8 || !span_ieq((struct span){ h->name.ptr, 8 }, SPAN("X-Relay-")))
			continue;
		if (!read_number(h, &s) && !read_word(h, &s) && !read_other(h, &s)) {
			buf_printf(error, "the relay doesn't understand \"%.*s: %.*s\"",
				   SPAN_ARG(h->name), SPAN_ARG(h->value));
			return -EINVAL;
		}
	}
	*ret = s;
	return 0;
}
