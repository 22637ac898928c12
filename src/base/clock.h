/*
 * clock.h - the time on this machine. Redis time is asked from Redis, never computed from here.
 */
#pragma once

#include <stdint.h>

/* Monotonic, for intervals and deadlines. Unaffected by changes of the wall clock. */
int64_t clock_ms(void);
int64_t clock_us(void);

/* Wall clock, milliseconds since 1970-01-01 UTC: for people to read, never to compute with. */
int64_t clock_wall_ms(void);
