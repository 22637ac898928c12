#include "queue/redis/record.h"

#include <errno.h>
#include <stdlib.h>

/* RECORD_FIELDS of prelude.lua, behind the version. */
enum {
	VERSION,
	JOINED,
	CLIENT,
	GIVEN,
	START,
	DELAY,
	TTL,
	SHARE,
	MARK,
	SESSION,
	RANK,
	S,
	WEIGHT,
	BROKEN,
	PROBE,
	WORDS_2, /* of version 2 */
	FAMILIES = WORDS_2,
	WORDS,
};

void record_copy(struct span from, char *to, size_t size)
{
	size_t n = MIN(from.len, size - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = from.ptr[i] > ' ' && from.ptr[i] <= '~' ? from.ptr[i] : '?';
	to[n] = '\0';
}

static void copy_field(struct span word, char *to, size_t size)
{
	record_copy(span_eq(word, SPAN("-")) ? SPAN("") : word, to, size);
}

/* 0 for what is no number, or none that a clock says. Words end with a blank, or with the text. */
static int64_t time_of(struct span word)
{
	int64_t ms = 0;

	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9' || i >= 15)
			return 0;
		ms = 10 * ms + (word.ptr[i] - '0');
	}
	return ms;
}

static double rank_of(struct span word)
{
	char text[32];
	char *end;
	double rank;

	record_copy(word, text, sizeof text);
	rank = strtod(text, &end);
	return *text && !*end && rank >= 0 ? rank : -1;
}

static size_t words_of(struct span version)
{
	if (span_eq(version, SPAN("2")))
		return WORDS_2;
	return span_eq(version, SPAN("3")) ? WORDS : 0;
}

bool record_read(struct span text, struct record *ret)
{
	struct span word[WORDS];
	size_t n = 0;

	*ret = (struct record){ .waiter = { .rank = -1, .waited_ms = -1 } };
	while (n < WORDS && span_next(&text, ' ', &word[n]))
		n++;
	if (!n || text.len || n != words_of(word[VERSION]))
		return false;
	ret->joined_ms = time_of(word[JOINED]);
	ret->start_ms = time_of(word[START]);
	copy_field(word[CLIENT], ret->waiter.client, sizeof ret->waiter.client);
	copy_field(word[SHARE], ret->waiter.share, sizeof ret->waiter.share);
	copy_field(word[MARK], ret->waiter.mark, sizeof ret->waiter.mark);
	copy_field(word[SESSION], ret->waiter.session, sizeof ret->waiter.session);
	ret->waiter.rank = rank_of(word[RANK]);
	return ret->joined_ms > 0;
}
