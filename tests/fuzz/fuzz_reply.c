/*
 * fuzz_reply.c - replies of a hostile Redis, through hiredis' reader and ours.
 *
 *      bytes, in pieces ──> redisReader + guard ──> forms ──> who reads such a reply
 *
 * What comes through as a message is what hiredis asserts; what has a form is read without harm;
 * what isn't asked for doesn't come through. (The same over connections: test_redis_hostile.c.)
 */
#include "driver.h"
#include "mutate.h"
#include "queue/redis/scripts.h"
#include "queue/redis/view.h"
#include "redis/guard.h"

enum { COUNT = 200000 };

#define HOLDER "$3\r\no:1\r\n$1\r\n7\r\n$38\r\n2 5 ::1 6 7 0 9 a m s 1.5 1 0.5 gone 1\r\n"
#define WAITER "$3\r\no:2\r\n$33\r\n2 5 ::1 - - 0 9 a m - 1.5 1 1 - -\r\n"
#define LIMIT  "*5\r\n$5\r\nquota\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n1\r\n"
#define VIEW                                                                                 \
	"*11\r\n$1\r\n7\r\n$0\r\n\r\n:1\r\n:1\r\n:2\r\n:10\r\n*3\r\n" HOLDER "*2\r\n" WAITER \
	"*1\r\n$7\r\n1 2 3 a\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n" LIMIT

static const char *const replies[] = {
	"*6\r\n$7\r\nwaiting\r\n:1\r\n*0\r\n:0\r\n$5\r\n1 1 1\r\n:0\r\n",
	"*4\r\n$7\r\nrenewed\r\n:1\r\n*3\r\n$3\r\no:1\r\n:7\r\n:1\r\n:0\r\n",
	"*8\r\n$5\r\nswept\r\n:1\r\n*3\r\n$3\r\no:1\r\n:7\r\n:0\r\n:0\r\n:1\r\n:2\r\n*1\r\n$3\r\no:1\r\n"
	"$5\r\none.1\r\n",
	"*6\r\n$7\r\ntouched\r\n:0\r\n*0\r\n:0\r\n*1\r\n$3\r\no:1\r\n"
	"*3\r\n$3\r\no:2\r\n$7\r\nrenewed\r\n$4\r\ngone\r\n",
	VIEW,
	"*3\r\n:1\r\n*2\r\n$1\r\na\r\n" VIEW "*2\r\n:5\r\n$2\r\n{}\r\n",
	"*2\r\n:1\r\n$1\r\na\r\n",
	":1\r\n",
	"+OK\r\n",
	"-MOVED 3999 127.0.0.1:6381\r\n",
	"$-1\r\n",
	"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$11\r\no:1 granted\r\n",
	"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n",
};

static const char *const tokens[] = {
	"\r\n",
	"\n",
	"*",
	"$",
	":",
	"+",
	"-",
	"*0\r\n",
	"*1\r\n",
	"*2\r\n",
	"*9\r\n",
	"$0\r\n\r\n",
	"*-1\r\n",
	"$-1\r\n",
	"$-2\r\n",
	":9223372036854775807\r\n",
	":-9223372036854775808\r\n",
	"$4294967296\r\n",
	"*2147483647\r\n",
	"*9223372036854775807\r\n",
	"_\r\n",
	"#t\r\n",
	",1.5\r\n",
	"(1\r\n",
	"%1\r\n",
	"~1\r\n",
	">1\r\n",
	"=7\r\ntxt:abc\r\n",
	"|1\r\n",
	"$11\r\nunsubscribe\r\n",
	"$7\r\nmessage\r\n",
	"$9\r\nsubscribe\r\n",
	"9223372036854775807",
	"-9223372036854775808",
	" ",
	"+OK\r\n",
	":1\r\n",
};

static size_t fitting, refused, read_through;

/* As async.c of hiredis has it, by assertions. */
static void check_message(const redisReply *r)
{
	if (r->type == REDIS_REPLY_ERROR)
		return;
	must(r->type == REDIS_REPLY_ARRAY && r->elements == 3);
	must(r->element[0]->type == REDIS_REPLY_STRING);
	must(r->element[1]->type == REDIS_REPLY_STRING);
	must(!strcmp(r->element[0]->str, "message") || !strcmp(r->element[0]->str, "subscribe"));
}

static void read_as_view(const redisReply *r)
{
	struct lock_view v = { 0 };

	if (redis_view_read(r, &v))
		read_through++;
	query_view_clear(&v);
}

/* Also what has none of the forms: readers look for themselves, too. */
static void read_reply(const redisReply *r)
{
	struct script_answer a;
	struct query_reply *survey = query_reply_new(NULL);

	for (int script = 0; script < SCRIPT_COUNT; script++)
		fitting += r->type != REDIS_REPLY_ERROR &&
			   redis_reply_fits(r, script_form((enum script)script));
	if (script_answer_read(r, &a))
		read_through++;
	read_as_view(r);
	if (redis_survey_read(r, survey))
		read_through++;
	query_reply_free(survey);
	if (r->type == REDIS_REPLY_ERROR)
		(void)redis_redirect_of(r->str);
}

static void feed(struct random *r, const struct buf *b)
{
	redisContext c = { .reader = redisReaderCreate() };
	struct redis_guard guard = { .replies = random_below(r, 4) };
	size_t expected = guard.replies, at = 0, came = 0;
	void *reply = NULL;

	if (random_chance(r, 2))
		redis_guard_subscribe(&guard, "c");
	redis_guard_start(&guard, &c);
	while (at < b->len) {
		size_t piece = 1 + random_below(r, 40), n = MIN(piece, b->len - at);

		redisReaderFeed(c.reader, b->data + at, n);
		at += n;
		while (redisReaderGetReply(c.reader, &reply) == REDIS_OK && reply) {
			if (came++ < expected)
				read_reply(reply);
			else
				check_message(reply);
			freeReplyObject(reply);
			reply = NULL;
		}
		if (c.reader->err)
			break;
	}
	refused += guard.refusal != NULL;
	redisReaderFree(c.reader);
}

static void generate(struct random *r, struct buf *b)
{
	b->len = 0;
	for (size_t n = 1 + random_below(r, 4); n > 0; n--)
		buf_puts(b, replies[random_below(r, ARRAY_SIZE(replies))]);
	if (!random_chance(r, 8))
		mutate(r, b, tokens, ARRAY_SIZE(tokens));
}

int main(int argc, char **argv)
{
	struct random r;
	size_t count = fuzz_count(argc, argv, COUNT, &r);
	CLEANUP(buf_clear) struct buf b = { 0 };

	for (size_t i = 0; i < count; i++) {
		generate(&r, &b);
		feed(&r, &b);
	}
	printf("%zu inputs: %zu of a form, %zu read, %zu refused by the guard\n", count, fitting,
	       read_through, refused);
	return fitting && read_through && refused ? 0 : 1;
}
