/*
 * number.h - the grammar of a JSON number (RFC 8259, section 6), byte by byte.
 */
#pragma once

#include <stdbool.h>

enum number_state {
	NUMBER_MINUS, /* behind "-" */
	NUMBER_ZERO,  /* behind a leading "0" */
	NUMBER_INT,
	NUMBER_POINT, /* behind "." */
	NUMBER_FRACTION,
	NUMBER_E,      /* behind "e" */
	NUMBER_E_SIGN, /* behind "e+" */
	NUMBER_EXPONENT,
	NUMBER_NONE, /* it can't go on so */
};

/* The state behind a number's first byte. */
static inline enum number_state number_first(char c)
{
	return c == '-' ? NUMBER_MINUS : c == '0' ? NUMBER_ZERO : NUMBER_INT;
}

static inline bool number_may_end(enum number_state state)
{
	return state == NUMBER_ZERO || state == NUMBER_INT || state == NUMBER_FRACTION ||
	       state == NUMBER_EXPONENT;
}

/* The state behind one more byte; NUMBER_NONE if it can't belong to the number. */
static inline enum number_state number_next(enum number_state state, char c)
{
	bool digit = c >= '0' && c <= '9';

	switch (state) {
	case NUMBER_MINUS:
		return c == '0' ? NUMBER_ZERO : digit ? NUMBER_INT : NUMBER_NONE;
	case NUMBER_ZERO:
	case NUMBER_INT:
		if (digit)
			return state == NUMBER_INT ? NUMBER_INT : NUMBER_NONE;
		if (c == '.')
			return NUMBER_POINT;
		return c == 'e' || c == 'E' ? NUMBER_E : NUMBER_NONE;
	case NUMBER_POINT:
		return digit ? NUMBER_FRACTION : NUMBER_NONE;
	case NUMBER_FRACTION:
		if (digit)
			return NUMBER_FRACTION;
		return c == 'e' || c == 'E' ? NUMBER_E : NUMBER_NONE;
	case NUMBER_E:
		if (c == '+' || c == '-')
			return NUMBER_E_SIGN;
		return digit ? NUMBER_EXPONENT : NUMBER_NONE;
	case NUMBER_E_SIGN:
	case NUMBER_EXPONENT:
		return digit ? NUMBER_EXPONENT : NUMBER_NONE;
	case NUMBER_NONE:
		break;
	}
	return NUMBER_NONE;
}
