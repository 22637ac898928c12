/*
 * strict.h - may this head be believed? Pure functions, the one place that refuses.
 *
 * libmicrohttpd and libcurl read more than RFC 9112 allows: what they made of a head is checked
 * here once more, so that nobody before or behind us can disagree with us on where a message ends
 * or whom it is for. RFC 9110 and 9112 are named by section where a check comes from.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/header.h"
#include "base/mem.h"
#include "http/head.h"

struct strict_limits {
	int64_t max_header_bytes, max_headers, max_target_bytes;
};

/* Why a request is refused: the status of its answer (RFC 9110, section 15.5; RFC 6585). */
enum strict_refusal {
	STRICT_FINE = 0,
	STRICT_BAD_REQUEST = 400,
	STRICT_TARGET_TOO_LONG = 414,
	STRICT_HEADERS_TOO_LARGE = 431,
	STRICT_NOT_IMPLEMENTED = 501,
};

/* If it is refused, `ret_why` is a few words for the log, static. */
enum strict_refusal strict_request(const struct request_head *head,
				   const struct strict_limits *limits, const char **ret_why)
	MUST_USE;

/*
 * 0 if the fields of a response can be passed on, else -EBADMSG and `ret_why`: names and
 * values that aren't, folded lines, and lengths that contradict each other.
 */
int strict_response(const struct headers *fields, bool is_1_0, const char **ret_why) MUST_USE;
