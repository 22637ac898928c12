/*
 * classify.h - the rule: is the last message real user input?
 */
#pragma once

#include "request/reason.h"
#include "request/tail.h"

/* The verdict on a whole body, from what tail_finish() says of it. Pure. */
enum request_reason classify(const struct tail_facts *facts) MUST_USE;
