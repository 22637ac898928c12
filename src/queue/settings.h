/*
 * settings.h - the settings made at run time, as a backend knows them, and who is told of them.
 */
#pragma once

#include "queue/query.h"

/* Zeroed, it is empty. */
struct settings {
	struct settings_entry *entries; /* by name */
	struct loop *loop;
	struct job tell;
	lock_settings_fn fn;
	void *arg;
};

/* From now on `fn` hears of all settings, from a job: soon, and after each change. */
void settings_watch(struct settings *s, struct loop *loop, lock_settings_fn fn, void *arg);

/* Sets what has a value, drops what has none; the rest stays. */
void settings_change(struct settings *s, const struct runtime_setting *changes, size_t count);

/* From now on these and no others; all have values. Told only if something is different. */
void settings_replace(struct settings *s, const struct runtime_setting *all, size_t count);

/* Forgets everything; nobody is told. May be called twice. */
void settings_clear(struct settings *s);
