#include "queue/settings.h"

#include <string.h>

#define uthash_fatal(msg) must_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct settings_entry {
	char *name, *value;
	bool seen; /* while all are replaced */
	UT_hash_handle hh;
};

static void tell(struct job *job)
{
	struct settings *s = container_of(job, struct settings, tell);
	size_t n = 0, count = HASH_COUNT(s->entries);
	CLEANUP(freep) struct runtime_setting *all = xcalloc(count + 1, sizeof *all);

	for (struct settings_entry *e = s->entries; e; e = e->hh.next)
		all[n++] = (struct runtime_setting){ e->name, e->value };
	if (s->fn)
		s->fn(s->arg, all, n);
}

static void changed(struct settings *s)
{
	if (s->fn)
		loop_defer(s->loop, &s->tell);
}

void settings_watch(struct settings *s, struct loop *loop, lock_settings_fn fn, void *arg)
{
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	s->tell.run = tell;
	job_cancel(&s->tell);
	changed(s);
}

static struct settings_entry *find(struct settings *s, const char *name)
{
	struct settings_entry *e;

	HASH_FIND_STR(s->entries, name, e);
	return e;
}

static void drop(struct settings *s, struct settings_entry *e)
{
	HASH_DEL(s->entries, e);
	free(e->name);
	free(e->value);
	free(e);
}

/* Whether that made a difference. */
static bool set(struct settings *s, const char *name, const char *value)
{
	struct settings_entry *e = find(s, name);

	if (e && value && !strcmp(e->value, value))
		return false;
	if (!e && !value)
		return false;
	if (!value) {
		drop(s, e);
		return true;
	}
	if (!e) {
		e = xcalloc(1, sizeof *e);
		e->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, s->entries, e->name, strlen(e->name), e);
	}
	free(e->value);
	e->value = xstrdup(value);
	return true;
}

void settings_change(struct settings *s, const struct runtime_setting *changes, size_t count)
{
	bool different = false;

	for (size_t i = 0; i < count; i++)
		different |= set(s, changes[i].name, changes[i].value);
	if (different)
		changed(s);
}

void settings_replace(struct settings *s, const struct runtime_setting *all, size_t count)
{
	struct settings_entry *e, *next;
	bool different = false;

	for (e = s->entries; e; e = e->hh.next)
		e->seen = false;
	for (size_t i = 0; i < count; i++) {
		different |= set(s, all[i].name, all[i].value);
		find(s, all[i].name)->seen = true;
	}
	HASH_ITER (hh, s->entries, e, next) {
		if (e->seen)
			continue;
		drop(s, e);
		different = true;
	}
	if (different)
		changed(s);
}

void settings_clear(struct settings *s)
{
	struct settings_entry *e, *next;

	job_cancel(&s->tell);
	s->fn = NULL;
	HASH_ITER (hh, s->entries, e, next)
		drop(s, e);
}
