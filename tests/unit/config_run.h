/*
 * config_run.h - for the tests of the configuration: one load, and looking at what came of it.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "config/config.h"
#include "config/options.h"
#include "config/values.h"

static char *work_dir;

/* One load: what it is given, and what came of it. */
struct run {
	struct config *config;
	struct buf errors;
	int result;
};

static inline void end(struct run *run)
{
	config_free(run->config);
	buf_clear(&run->errors);
	*run = (struct run){ 0 };
}

/* Every test that loads works in a directory of its own, where its file is "t.ini". */
static inline void work_begin(void)
{
	work_dir = xstrdup("/tmp/test_config.XXXXXX");
	must(mkdtemp(work_dir) && chdir(work_dir) == 0);
}

static inline void work_end(void)
{
	unlink("t.ini");
	must(rmdir(work_dir) == 0);
	free(work_dir);
}

static inline void write_ini(struct span text)
{
	FILE *f = fopen("t.ini", "we");

	must(f && fwrite(text.ptr, 1, text.len, f) == text.len && fclose(f) == 0);
}

/* Loads `ini` (NULL: no file), an environment and -o's (NULL: none). */
static inline struct run load(const char *ini, char *const *environment,
			      const char *const *overrides)
{
	struct config_sources sources = { NULL, overrides, environment };
	struct run run = { 0 };

	if (ini) {
		write_ini(span_of(ini));
		sources.file = "t.ini";
	}
	run.result = config_load(&sources, &run.errors, &run.config);
	return run;
}

#define ENV(...)  ((char *const[]){ __VA_ARGS__, NULL })
#define OVER(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline char *value_of(const struct config *c, const char *name)
{
	const struct option *o = option_find(OPTION_DOTTED, span_of(name));
	struct buf text = { 0 };

	must(o);
	o->type->print(o, option_slot(o, c), &text);
	buf_str(&text);
	return text.data;
}

static inline void check_value(const struct config *c, const char *name, const char *want)
{
	CLEANUP(freep) char *got = value_of(c, name);

	CHECK_STR(got, want);
}

/* As --print-config does; to be freed. */
static inline char *printed(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	must(f);
	config_print(c, f);
	must(fclose(f) == 0);
	return text;
}
