/*
 * file.c - the configuration file: libinih splits the lines, we count them.
 *
 *      [queue]                  reader: which section is it?
 *      delay_ms = 200           reader ──> inih ──> handler(name, value)
 *
 * inih tells neither the numbers of lines nor more than one error, takes a line that begins with
 * a blank for more of the value before it, and cuts lines at a length that was chosen when it was
 * built (Debian: 200). So it gets its lines from a reader of ours, one a call, never too long and
 * never with a blank in front. A line that should reach the handler and doesn't is an error.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/accounts.h"
#include "config/load.h"
#include "config/shares.h"

struct ini_file {
	struct load *load;
	const char *path;
	struct span rest;    /* what hasn't been read yet */
	int number;          /* of the line given last, from 1 */
	bool expected;       /* that line has a key, and the handler hasn't seen it yet */
	bool in_section;     /* there was a [section] already */
	const char *section; /* the one we are in, or seem to be in; NULL: none of the table */
	char *unknown;       /* … but this one, that is like none of them; ours */
	struct account_section *account; /* … or the [account "NAME"] */
	struct share_section *share;     /* … or the [share "NAME"] */
	int *first;                      /* for each row: the line that set it, or 0 */
};

/* An error in the current line, about `about` if that isn't empty. */
static void file_error(struct ini_file *f, const char *about, const char *message)
{
	CLEANUP(freep)
	char *place = xasprintf("%s:%d%s%s", f->path, f->number, *about ? ": " : "", about);

	load_error(f->load, place, "%s", message);
}

/*
 * [WORD "NAME"], and the name; false if it is something else. What is meant so but written otherwise is
 * an error, and what is in it counts all the same.
 */
static bool is_named(struct ini_file *f, struct span section, struct span word,
		     struct span *ret_name)
{
	CLEANUP(freep) char *place = xasprintf("%s:%d", f->path, f->number);
	struct span rest;
	bool plural, quoted;

	if (!span_starts(section, word))
		return false;
	rest = (struct span){ section.ptr + word.len, section.len - word.len };
	plural = rest.len && rest.ptr[0] == 's';
	rest = span_trim((struct span){ rest.ptr + plural, rest.len - plural });
	quoted = rest.len >= 2 && rest.ptr[0] == '"' && rest.ptr[rest.len - 1] == '"';
	if (!rest.len || (!quoted && !strchr(" \t", rest.ptr[-1])))
		return false;
	if (quoted)
		rest = (struct span){ rest.ptr + 1, rest.len - 2 };
	if (plural || !quoted)
		load_error(f->load, place,
			   "[%.*s]: there is no such section; did you mean [%.*s \"%.*s\"]?",
			   SPAN_ARG(section), SPAN_ARG(word), SPAN_ARG(rest));
	*ret_name = rest;
	return true;
}

/* [account "NAME"] or [share "NAME"]; false if it is something else. */
static bool begin_named(struct ini_file *f, struct span section)
{
	CLEANUP(freep) char *place = xasprintf("%s:%d", f->path, f->number);
	struct span name;

	if (is_named(f, section, SPAN("account"), &name))
		f->account = accounts_begin(f->load, place, name);
	else if (is_named(f, section, SPAN("share"), &name))
		f->share = shares_begin(f->load, place, name);
	return f->account || f->share;
}

static void unknown_section(struct ini_file *f, struct span name)
{
	CLEANUP(buf_clear) struct buf about = { 0 }, message = { 0 };

	buf_printf(&about, "[%.*s]", SPAN_ARG(name));
	buf_puts(&message, "there is no such section");
	f->section = option_section_near(name);
	if (f->section)
		buf_printf(&message, "; did you mean [%s]?", f->section);
	else
		f->unknown = xstrndup(name.ptr, name.len);
	file_error(f, buf_str(&about), buf_str(&message));
}

/* Whatever is wrong with its name, what is in it is told as well. */
static void begin_section(struct ini_file *f, struct span line)
{
	const char *end = memchr(line.ptr, ']', line.len);
	struct span name = { line.ptr + 1, (end ? (size_t)(end - line.ptr) : line.len) - 1 };
	struct span rest = { NULL, 0 };

	f->in_section = true;
	f->section = NULL;
	f->account = NULL;
	f->share = NULL;
	free(steal(&f->unknown));
	if (end)
		rest = span_trim((struct span){ end + 1, line.len - (size_t)(end + 1 - line.ptr) });
	else
		file_error(f, "", "the section's name has no \"]\"");
	if (rest.len && !char_is_in(rest.ptr[0], ";#"))
		file_error(f, "", "there is more than a comment behind the section's name");
	name = span_trim(name);
	f->section = option_section(name);
	if (!f->section && !begin_named(f, name))
		unknown_section(f, name);
}

/* In a section of an unknown name: only what a hint can be given for is told. */
static void unknown_key(struct ini_file *f, const char *name)
{
	CLEANUP(buf_clear) struct buf full = { 0 }, message = { 0 };
	size_t plain;

	buf_printf(&full, "%s.%s", f->unknown, name);
	buf_puts(&message, "there is no such option");
	plain = message.len;
	option_suggest(OPTION_DOTTED, buf_span(&full), &message);
	if (message.len > plain)
		file_error(f, buf_str(&full), buf_str(&message));
}

static void set_option(struct ini_file *f, const struct option *o, const char *name,
		       struct span value)
{
	CLEANUP(freep) char *place = xasprintf("%s:%d: %s", f->path, f->number, name);
	int *first = &f->first[option_index(o)];

	if (*first)
		load_error(f->load, place, "is set twice, first in line %d", *first);
	else
		load_value(f->load, place, o, value);
	*first = f->number;
}

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct ini_file *f = user;
	CLEANUP(buf_clear) struct buf full = { 0 }, message = { 0 };
	const struct option *o;

	(void)section; /* cut at a length of inih's; ours isn't */
	f->expected = false;
	if (!f->in_section)
		file_error(f, name, "stands before the first [section]");
	if (f->account || f->share) {
		CLEANUP(freep) char *at = xasprintf("%s:%d", f->path, f->number);

		if (f->account)
			accounts_set(f->load, f->account, at, name, span_trim(span_of(value)));
		else
			shares_set(f->load, f->share, at, name, span_trim(span_of(value)));
	}
	if (f->unknown)
		unknown_key(f, name);
	if (!f->section)
		return 1;
	buf_printf(&full, "%s.%s", f->section, name);
	o = option_find(OPTION_DOTTED, buf_span(&full));
	if (o) {
		set_option(f, o, buf_str(&full), span_trim(span_of(value)));
		return 1;
	}
	buf_puts(&message, "there is no such option");
	option_suggest(OPTION_DOTTED, buf_span(&full), &message);
	file_error(f, buf_str(&full), buf_str(&message));
	return 1;
}

/* The next line, trimmed, without a byte order mark; false at the end of the file. */
static bool next_line(struct ini_file *f, struct span *ret)
{
	if (!f->number && span_starts(f->rest, SPAN("\xef\xbb\xbf")))
		f->rest = (struct span){ f->rest.ptr + 3, f->rest.len - 3 };
	f->number++;
	return span_next(&f->rest, '\n', ret);
}

/* Whether inih may have this line; if it may not, the error is told. */
static bool usable(struct ini_file *f, struct span line, size_t limit)
{
	CLEANUP(buf_clear) struct buf message = { 0 };

	if (memchr(line.ptr, 0, line.len)) {
		file_error(f, "", "the line has a NUL byte");
		return false;
	}
	if (line.len <= limit)
		return true;
	buf_printf(&message,
		   "the line is longer than %zu bytes; set a longer value by -o or "
		   "in the environment",
		   limit);
	file_error(f, "", buf_str(&message));
	return false;
}

static void miss_key(struct ini_file *f)
{
	if (f->expected)
		file_error(f, "",
			   "the line is neither \"key = value\" nor [section] nor a comment");
	f->expected = false;
}

/* inih's reader: as fgets(), but sections and comments are dealt with here. */
static char *read_line(char *str, int num, void *stream)
{
	struct ini_file *f = stream;
	struct span line;

	miss_key(f);
	if (!next_line(f, &line))
		return NULL;
	str[0] = 0;
	if (!line.len || char_is_in(line.ptr[0], ";#")) {
		line.len = 0;
	} else if (line.ptr[0] == '[') {
		begin_section(f, line);
		line.len = 0;
	} else if (!usable(f, line, (size_t)num - 2)) {
		line.len = 0;
	} else {
		f->expected = true;
	}
	memcpy(str, line.ptr, line.len);
	strcpy(str + line.len, "\n");
	return str;
}

int load_file(struct load *l, const char *path)
{
	CLEANUP(buf_clear) struct buf text = { 0 }, why = { 0 };
	CLEANUP(freep) int *first = xcalloc(options_count, sizeof *first);
	struct ini_file f = { .load = l, .path = path, .first = first };
	int r = file_read(path, &text, &why);

	if (r < 0) {
		load_error(l, path, "%s", buf_str(&why));
		return r;
	}
	f.rest = buf_span(&text);
	l->config->file_digest = config_digest(f.rest);
	/* Its result is the first line with an error: miss_key() has told that, and others. */
	(void)ini_parse_stream(read_line, &f, on_key, &f);
	miss_key(&f);
	free(f.unknown);
	return 0;
}
