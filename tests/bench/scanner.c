/*
 * scanner.c - how fast is tail.c, and how fast a full parse by cJSON?
 *
 *      scanner [FILE]...       GB/s for each body; without one: for three that are made here
 *
 * Each is scanned in pieces of 64 KiB, as from a socket, until half a second has passed.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "request/tail.h"

enum { PIECE_BYTES = 64 * 1024, RUN_US = 500 * 1000, BODY_BYTES = 20 << 20 };

/* Of this process: others on the core don't count. */
static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void scan(struct span body)
{
	struct tail t = { 0 };
	struct tail_facts facts;

	for (size_t at = 0; at < body.len; at += PIECE_BYTES)
		tail_feed(&t, body.ptr + at, MIN((size_t)PIECE_BYTES, body.len - at));
	tail_finish(&t, &facts);
	must(facts.status == TAIL_OK && facts.messages);
	tail_clear(&t);
}

static void parse(struct span body)
{
	cJSON *json = cJSON_ParseWithLength(body.ptr, body.len);

	must(json);
	cJSON_Delete(json);
}

static double gigabytes_per_second(void (*look)(struct span body), struct span body)
{
	int64_t start = cpu_us(), now = start;
	size_t bytes = 0;

	for (; now - start < RUN_US; now = cpu_us()) {
		look(body);
		bytes += body.len;
	}
	return (double)bytes / 1000.0 / (double)(now - start);
}

static void measure(const char *name, struct span body)
{
	printf("%-28s %9zu bytes  scanner %6.2f GB/s  cJSON %6.2f GB/s\n", name, body.len,
	       gigabytes_per_second(scan, body), gigabytes_per_second(parse, body));
}

/* A conversation whose messages all have this JSON as content. */
static void measure_made(const char *name, const char *content)
{
	struct buf body = { 0 };

	buf_puts(&body, "{\"model\":\"m\",\"messages\":[");
	while (body.len < BODY_BYTES)
		buf_printf(&body, "%s{\"role\":\"user\",\"content\":%s}",
			   body.data[body.len - 1] == '[' ? "" : ",", content);
	buf_puts(&body, "],\"max_tokens\":1}");
	measure(name, buf_span(&body));
	buf_clear(&body);
}

static char *repeat(const char *text, size_t times)
{
	struct buf b = { 0 };

	buf_puts(&b, "\"");
	for (size_t i = 0; i < times; i++)
		buf_puts(&b, text);
	buf_puts(&b, "\"");
	return xstrdup(buf_str(&b)); /* the process ends soon: not freed */
}

static void measure_file(const char *path)
{
	struct buf body = { 0 };
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	do {
		n = fread(buf_reserve(&body, PIECE_BYTES), 1, PIECE_BYTES, f);
		body.len += n;
	} while (n);
	fclose(f);
	measure(path, buf_span(&body));
	buf_clear(&body);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		measure_file(argv[i]);
	if (argc > 1)
		return 0;
	measure_made("base64", repeat("iVBORw0KGgoAAAANSUhEUgAABAAAAAQA", 4096));
	measure_made("prose, a line of 80 bytes",
		     repeat("The relay answers in order, and each waiter learns its place in the "
			    "line, too.\\n",
			    200));
	measure_made("code, a line of 30 bytes",
		     repeat("\\tif (!x)\\n\\t\\treturn \\\"no\\\";\\n", 500));
	measure_made("all structure",
		     "[{\"type\":\"text\",\"text\":\"a\",\"n\":[1,2.5,null,true]}]");
	return 0;
}
