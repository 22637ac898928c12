/*
 * path.h - does this target lead to an endpoint, however it is spelt?
 *
 * Relays don't agree on what a path is. Some ignore case and a trailing slash (Express), some decode
 * all that is percent-encoded, "%2F" too, before they compare (Go's net/http, Starlette), some merge
 * slashes, some resolve "." and "..", before decoding or behind it, some take a backslash for a slash
 * (WHATWG's URLs), drop parameters behind ";" or end the path there, and Python's "$" lets a line feed
 * follow. Whoever finds a spelling that the relay takes for the endpoint, and we don't, is past the
 * line. So whatever one of them might take for it counts as it; the relay gets the original.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

/* Whether the target's path, up to "?", may end with one of these (ended by NULL). Pure. */
bool path_ends(struct span target, char *const *endings);
