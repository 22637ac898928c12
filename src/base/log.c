#include "base/log.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static const char *const level_marks[] = { "<3>", "<4>", "<6>", "<7>" };

/* The only global besides the metrics; written before a second thread runs, or by a reload. */
static _Atomic int threshold = LOG_INFO;
static _Atomic int line_format = LOG_TEXT;
/* Lines that there was no room for; and how many of them the log has told of. */
static _Atomic int64_t dropped, confessed;
static _Atomic bool cut; /* the last line that was begun has no end */
/* What our stderr is doesn't change, so this is found out once. */
static _Atomic enum { UNKNOWN, JOURNAL, NO_JOURNAL } reader;

void log_setup(enum log_level level, enum log_format format)
{
	threshold = level;
	line_format = format;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= threshold;
}

static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

const char *log_mark(enum log_level level)
{
	if (reader == UNKNOWN)
		reader = is_journal() ? JOURNAL : NO_JOURNAL;
	return reader == JOURNAL ? level_marks[level] : "";
}

static void put_time(struct buf *b)
{
	int64_t now = clock_wall_ms();
	time_t seconds = now / 1000;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now % 1000));
}

/* Bare where that can't be mistaken for anything else, else quoted and escaped. */
static void put_text_value(struct buf *b, struct span s)
{
	if (!s.ptr) {
		buf_puts(b, "-");
		return;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\') {
			buf_json(b, s);
			return;
		}
	}
	if (s.len)
		buf_append(b, s.ptr, s.len);
	else
		buf_puts(b, "\"\"");
}

static void put_value(struct buf *b, const struct log_field *f, bool json)
{
	if (f->type == LOG_FIELD_INT)
		buf_printf(b, "%" PRId64, f->num);
	else if (f->type == LOG_FIELD_REAL)
		buf_printf(b, "%.10g", f->real);
	else if (f->type == LOG_FIELD_BOOL)
		buf_puts(b, f->num ? "true" : "false");
	else if (!json)
		put_text_value(b, f->str);
	else if (f->str.ptr)
		buf_json(b, f->str);
	else
		buf_puts(b, "null");
}

static void put_json(struct buf *b, enum log_level level, const char *msg,
		     const struct log_field *fields)
{
	buf_puts(b, "{\"time\":\"");
	put_time(b);
	buf_printf(b, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
	buf_json(b, span_of(msg));
	for (const struct log_field *f = fields; f->key; f++) {
		buf_printf(b, ",\"%s\":", f->key);
		put_value(b, f, true);
	}
	buf_puts(b, "}\n");
}

static void put_text(struct buf *b, enum log_level level, const char *msg,
		     const struct log_field *fields)
{
	put_time(b);
	buf_printf(b, " %-5s %s", level_names[level], msg);
	for (const struct log_field *f = fields; f->key; f++) {
		buf_printf(b, " %s=", f->key);
		put_value(b, f, false);
	}
	buf_puts(b, "\n");
}

/* PIPE_BUF bytes go into a pipe that can be written at all (pipe(7)); a file can be, always. */
static bool has_room(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) != 0;
}

/*
 * False if there was no room. What can't be written for another reason has no better place to say
 * so.
 */
static bool put_line(enum log_level level, const char *msg, const struct log_field *fields)
{
	CLEANUP(buf_clear) struct buf line = { 0 };
	struct span rest;

	buf_puts(&line, cut ? "\n" : "");
	buf_puts(&line, log_mark(level));
	if (line_format == LOG_JSON)
		put_json(&line, level, msg, fields);
	else
		put_text(&line, level, msg, fields);
	rest = buf_span(&line);
	while (rest.len) {
		ssize_t n;

		if (!has_room())
			return false;
		n = write(STDERR_FILENO, rest.ptr, MIN(rest.len, (size_t)PIPE_BUF));
		if (n < 0)
			return true;
		rest.ptr += n;
		rest.len -= (size_t)n;
		cut = rest.len != 0;
	}
	return true;
}

/* The next line after lost ones says so. */
static bool confess(void)
{
	int64_t n = dropped;

	if (n == confessed)
		return true;
	if (!put_line(LOG_WARN, "lines of the log were dropped, as nobody read them",
		      (struct log_field[]){ LOG_INT("lines", n - confessed), { 0 } }))
		return false;
	confessed = n;
	return true;
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
	if (!confess() || !put_line(level, msg, fields))
		dropped++;
}

int64_t log_dropped(void)
{
	return dropped;
}
