/*
 * show.c - the options as people read them: --print-config and --help.
 *
 * tests/lint/options and config/make-manpage read the text of --help: "  section.key = default", then a line of help,
 * then what is allowed, the alias, and whether SIGHUP changes it; folded lines go on two columns further in.
 */
#include <string.h>

#include "config/accounts.h"
#include "config/options.h"
#include "config/shares.h"
#include "config/values.h"

static bool begins_section(size_t i)
{
	return i == 0 || strcmp(options[i].section, options[i - 1].section) != 0;
}

void config_print(const struct config *c, FILE *to)
{
	CLEANUP(buf_clear) struct buf text = { 0 };

	for (size_t i = 0; i < options_count; i++) {
		const struct option *o = &options[i];

		if (begins_section(i))
			fprintf(to, "%s[%s]\n", i ? "\n" : "", o->section);
		text.len = 0;
		value_show(o, option_slot(o, c), &text);
		fprintf(to, "%s =%s%s\n", o->key, text.len ? " " : "", buf_str(&text));
	}
	accounts_print(c, to);
	shares_print(c, to);
}

enum { HELP_WIDTH = 100, HELP_INDENT = 6 };

/* A line of help; one that is too long is folded at blanks. */
static void help_line(struct span s, FILE *to)
{
	size_t indent = HELP_INDENT;

	while (s.len > HELP_WIDTH - indent) {
		size_t n = HELP_WIDTH - indent;

		while (n && s.ptr[n] != ' ')
			n--;
		if (!n)
			break;
		fprintf(to, "%*s%.*s\n", (int)indent, "", (int)n, s.ptr);
		s = (struct span){ s.ptr + n + 1, s.len - n - 1 };
		indent = HELP_INDENT + 2;
	}
	fprintf(to, "%*s%.*s\n", (int)indent, "", SPAN_ARG(s));
}

static void help_option(const struct option *o, FILE *to)
{
	CLEANUP(buf_clear) struct buf allowed = { 0 };

	o->type->allowed(o, &allowed);
	if (o->alias)
		buf_printf(&allowed, "; also %s", o->alias);
	if (o->flags & OPTION_RELOADABLE)
		buf_puts(&allowed, "; reloadable");
	fprintf(to, "  %s.%s =%s%s\n", o->section, o->key, *o->preset ? " " : "", o->preset);
	help_line(span_of(o->help), to);
	help_line(buf_span(&allowed), to);
}

void config_help(FILE *to)
{
	fputs("Options with their defaults, what they do, and what is allowed. An option is set as\n"
	      "\"key = value\" under [section] in the file, as TURNSTILE_SECTION_KEY in the environment\n"
	      "(a few also under a second name), or by -o section.key=value; the last of these wins.\n"
	      "SIGHUP reads the file again and changes those that are reloadable.\n",
	      to);
	for (size_t i = 0; i < options_count; i++) {
		if (begins_section(i))
			fputs("\n", to);
		help_option(&options[i], to);
	}
	accounts_help(to);
	shares_help(to);
}
