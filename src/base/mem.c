#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

void must_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "%sturnstile: broken invariant: %s (%s:%d)\n", log_mark(LOG_ERROR), cond,
		file, line);
	abort();
}

static void *or_abort(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "%sturnstile: out of memory\n", log_mark(LOG_ERROR));
	abort();
}

void *xmalloc(size_t size)
{
	return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t n, size_t size)
{
	return or_abort(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t size)
{
	return or_abort(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return or_abort(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return or_abort(strndup(s, n));
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *s = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&s, format, args);
	va_end(args);
	return or_abort(n < 0 ? NULL : s);
}

void freep(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}
