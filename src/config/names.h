/*
 * names.h - lists of names that sections of the configuration give to an account or a share: keys as
 * hashes, devices. A list is a char ** that ends with NULL; NULL is the empty one.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/span.h"

struct load;

enum { KEY_NAME_DIGITS = 16 }; /* of "key-…", see account.h */

/* "key-" and KEY_NAME_DIGITS hex digits, as `turnstile hash-key` prints it. */
bool names_is_key(struct span s);

bool names_have(char *const *list, const char *name);
size_t names_count(char *const *list);
void names_add(char ***list, struct span name);
void names_clear(char ***list);

/*
 * Adds the keys of `text`, separated by commas; an error at `place` if one isn't a key's hash. May come
 * several times, as a line has a longest length: all count.
 */
void names_add_keys(struct load *l, const char *place, struct span text, char ***list);

/* A line "KEY = NAME" each, as lines have a longest length. */
void names_print(const char *key, char *const *list, FILE *to);
