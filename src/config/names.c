#include "config/names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/load.h"

bool names_is_key(struct span s)
{
	const struct span prefix = SPAN("key-");

	if (!span_starts(s, prefix) || s.len != prefix.len + KEY_NAME_DIGITS)
		return false;
	for (size_t i = prefix.len; i < s.len; i++) {
		if (!isdigit((unsigned char)s.ptr[i]) && (s.ptr[i] < 'a' || s.ptr[i] > 'f'))
			return false;
	}
	return true;
}

bool names_have(char *const *list, const char *name)
{
	for (; list && *list; list++) {
		if (!strcmp(*list, name))
			return true;
	}
	return false;
}

size_t names_count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

void names_add(char ***list, struct span name)
{
	size_t n = names_count(*list);

	*list = xrealloc(*list, (n + 2) * sizeof **list);
	(*list)[n] = xstrndup(name.ptr, name.len);
	(*list)[n + 1] = NULL;
}

void names_clear(char ***list)
{
	for (char **name = *list; name && *name; name++)
		free(*name);
	free(*list);
	*list = NULL;
}

void names_add_keys(struct load *l, const char *place, struct span text, char ***list)
{
	struct span key;

	while (span_next(&text, ',', &key)) {
		if (!names_is_key(key)) {
			/* not repeated: it may be a key */
			load_error(
				l, place,
				"holds what is no key's hash; allowed: key-<16 hex digits>, … as "
				"turnstile hash-key prints them");
			return;
		}
		names_add(list, key);
	}
}

void names_print(const char *key, char *const *list, FILE *to)
{
	for (; list && *list; list++)
		fprintf(to, "%s = %s\n", key, *list);
}
