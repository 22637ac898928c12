/*
 * log.h - one line an event, on stderr, as text or JSON.
 *
 *      log_warn("redis is unreachable", LOG_STR("host", host), LOG_INT("retry_ms", 500));
 *
 *      2026-11-22T10:00:00.000Z warn  redis is unreachable host=10.0.0.7 retry_ms=500
 *      {"time":"2026-11-22T10:00:00.000Z","level":"warn","msg":"redis is …","host":"10.0.0.7",…}
 *
 * Values from outside are escaped, so a line is always one line. Invariant 8: keys and prompts
 * are never given to these functions. May be called from any thread: a line of up to
 * 4 KiB is one write().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

struct log_field {
	const char *key; /* NULL ends a list */
	enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_BOOL, LOG_FIELD_REAL } type;
	struct span str; /* with a NULL ptr: null in JSON, "-" in text */
	int64_t num;
	double real; /* finite */
};

#define LOG_STR(key_, s)  ((struct log_field){ key_, LOG_FIELD_STR, span_of(s), 0, 0 })
#define LOG_SPAN(key_, s) ((struct log_field){ key_, LOG_FIELD_STR, s, 0, 0 })
#define LOG_INT(key_, n)  ((struct log_field){ key_, LOG_FIELD_INT, { 0 }, n, 0 })
#define LOG_BOOL(key_, n) ((struct log_field){ key_, LOG_FIELD_BOOL, { 0 }, n, 0 })
#define LOG_REAL(key_, x) ((struct log_field){ key_, LOG_FIELD_REAL, { 0 }, 0, x })

/* Sets what is written (levels up to `level`) and how. Until then: info, text. */
void log_setup(enum log_level level, enum log_format format);

bool log_enabled(enum log_level level);

/*
 * What a line of that level on stderr begins with, static. Where $JOURNAL_STREAM names our stderr
 * (systemd.exec(5)), so that systemd's journal reads it: "<3>" and the like, which the journal
 * takes off (sd-daemon(3)). Else nothing. log_write() puts it there by itself.
 */
const char *log_mark(enum log_level level);

/*
 * Writes one line. `fields` ends with one whose key is NULL. Never waits: where stderr is a pipe
 * that nobody reads, and which is full, the line is dropped, and the next one that isn't says how
 * many were.
 */
void log_write(enum log_level level, const char *msg, const struct log_field *fields);

/* How many lines were dropped since start. */
int64_t log_dropped(void);

#define log_at(level, msg, ...)                                                             \
	(log_enabled(level)                                                                 \
		 ? log_write(level, msg,                                                    \
			     (const struct log_field[]){ __VA_ARGS__ __VA_OPT__(, ){ 0 } }) \
		 : (void)0)
#define log_error(msg, ...) log_at(LOG_ERROR, msg, __VA_ARGS__)
#define log_warn(msg, ...)  log_at(LOG_WARN, msg, __VA_ARGS__)
#define log_info(msg, ...)  log_at(LOG_INFO, msg, __VA_ARGS__)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg, __VA_ARGS__)
