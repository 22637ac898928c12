#include "request/patience.h"

#include "base/mem.h"

enum { SECONDS_DIGITS_MAX = 9 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "600", "600.0", "0.5"; -1 for zero as well, and for what isn't of that form. */
static int64_t seconds_as_ms(struct span s)
{
	int64_t ms = 0, unit = 100;
	size_t n = 0, whole;
	bool some = false;

	for (; n < s.len && n <= SECONDS_DIGITS_MAX && is_digit(s.ptr[n]); n++)
		ms = ms * 10 + s.ptr[n] - '0';
	some = ms;
	ms *= 1000;
	whole = n;
	if (n < s.len && s.ptr[n] == '.') {
		for (n++; n < s.len && is_digit(s.ptr[n]); n++, unit /= 10) {
			ms += unit * (s.ptr[n] - '0');
			some = some || s.ptr[n] != '0';
		}
	}
	if (n < s.len || !whole || whole > SECONDS_DIGITS_MAX || !is_digit(s.ptr[n - 1]) || !some)
		return -1;
	return MAX(ms, 1);
}

int64_t patience_ms(const struct headers *headers)
{
	static const struct span names[] = {
		SPAN("x-stainless-timeout"),
		SPAN("x-stainless-read-timeout"),
	};
	int64_t least = -1;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct span said = span_trim(headers_get(headers, names[i]));
		int64_t ms = said.len ? seconds_as_ms(said) : -1;

		if (ms >= 0 && (least < 0 || ms < least))
			least = ms;
	}
	return least;
}
