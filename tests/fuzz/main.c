/*
 * main.c - the fuzzer as a program of its own: generated and mutated bodies, by seed.
 *
 *      fuzz_tail [COUNT [SEED [DIRECTORY]...]]    40000 bodies by default, seed 1
 *
 * The files of the directories are bodies: each is looked at as it is, then mutated COUNT / 200
 * times. Then COUNT bodies are generated, and each is looked at as it is and mutated. Every reason
 * that a body by itself can get must have come up, so that a generator gone dull is seen.
 *
 * Without this file it is a libFuzzer target: clang -fsanitize=fuzzer,address with differential.c,
 * generate.c, reference.c and what they need of src/base and src/request.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#include "differential.h"
#include "generate.h"
#include "request/reason.h"

enum { COUNT = 40000, FILE_SHARE = 200, READ_BYTES = 64 * 1024 };

static size_t seen[REQUEST_REASON_COUNT];

static void look(const struct buf *body)
{
	const char *code = differential(body->data, body->len);

	for (size_t i = 0; i < REQUEST_REASON_COUNT; i++) {
		if (!strcmp(code, request_reason_info((enum request_reason)i)->code))
			seen[i]++;
	}
}

static void read_file(const char *path, struct buf *body)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		exit(2);
	}
	do {
		n = fread(buf_reserve(body, READ_BYTES), 1, READ_BYTES, f);
		body->len += n;
	} while (n);
	fclose(f);
}

static void fuzz_file(struct random *r, const char *path, size_t count)
{
	struct buf original = { 0 }, body = { 0 };

	read_file(path, &original);
	look(&original);
	for (size_t i = 0; i < count; i++) {
		body.len = 0;
		buf_append(&body, original.data, original.len);
		mutate_body(r, &body);
		look(&body);
	}
	buf_clear(&original);
	buf_clear(&body);
}

static void fuzz_directory(struct random *r, const char *path, size_t count)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort); /* sorted: a seed is to be repeatable */

	if (n < 0) {
		perror(path);
		exit(2);
	}
	for (int i = 0; i < n; i++) {
		CLEANUP(freep) char *file = xasprintf("%s/%s", path, entries[i]->d_name);

		if (entries[i]->d_name[0] != '.')
			fuzz_file(r, file, count);
		free(entries[i]);
	}
	free(entries);
}

static void fuzz_generated(struct random *r, size_t count)
{
	struct buf body = { 0 };

	for (size_t i = 0; i < count; i++) {
		generate_body(r, &body);
		look(&body);
		mutate_body(r, &body);
		look(&body);
	}
	buf_clear(&body);
}

static int report(void)
{
	int missing = 0;

	for (size_t i = 0; i < REQUEST_REASON_COUNT; i++) {
		const struct request_reason_info *info =
			request_reason_info((enum request_reason)i);
		bool possible = i != REASON_NOT_LOOKED_AT && i != REASON_TOO_DEEP &&
				info->kind != KIND_EXEMPT && i <= REASON_NOT_JSON;

		if (possible)
			printf("%-14s %zu\n", info->code, seen[i]);
		missing += possible && !seen[i];
	}
	return missing != 0;
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : COUNT;
	struct random r = { argc > 2 ? strtoul(argv[2], NULL, 10) : 1 };

	if (!count || !r.state) {
		fprintf(stderr, "usage: fuzz_tail [COUNT [SEED [DIRECTORY]...]]\n");
		return 2;
	}
	for (int i = 3; i < argc; i++)
		fuzz_directory(&r, argv[i], count / FILE_SHARE);
	fuzz_generated(&r, count);
	return report();
}
