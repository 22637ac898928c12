/*
 * error_object.h - whether an upstream's body can be told as an event. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/span.h"

/*
 * Whether `body` is a JSON object with a member "error": what clients of the Claude API take as the
 * data of an `error` event (and what its relays answer, which often have no "type" beside it).
 */
bool error_object_is(struct span body);
