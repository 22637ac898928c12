/*
 * mem.h - allocation that cannot fail, clean-up attributes, and must().
 *
 * Out of memory is not an error that a caller handles: we say so and abort, as the process could
 * not even report it. So none of the x*() functions ever returns NULL.
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <sys/param.h> /* MIN, MAX */

#define CLEANUP(fn)   __attribute__((cleanup(fn)))
#define MUST_USE      __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a), nonnull(f)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A system call, again as long as a signal interrupts it; glibc has it, musl doesn't. The caller includes errno.h. */
#ifndef TEMP_FAILURE_RETRY
#define TEMP_FAILURE_RETRY(call)                               \
	({                                                     \
		__typeof__(call) retry_result_;                \
		do                                             \
			retry_result_ = (call);                \
		while (retry_result_ == -1 && errno == EINTR); \
		retry_result_;                                 \
	})
#endif

/* The struct of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Takes the pointer out of a variable, so that its cleanup attribute finds NULL. */
#define steal(ptr)                                 \
	({                                         \
		__auto_type steal_value_ = *(ptr); \
		*(ptr) = NULL;                     \
		steal_value_;                      \
	})

/* Our own invariants, in release builds too. Never for input or for what a system call returned. */
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))

_Noreturn void must_failed(const char *cond, const char *file, int line);

/* As malloc(), calloc(), realloc(), strdup(), strndup() and asprintf(); the caller frees. */
void *xmalloc(size_t size) MUST_USE;
void *xcalloc(size_t n, size_t size) MUST_USE;
void *xrealloc(void *p, size_t size) MUST_USE;
char *xstrdup(const char *s) MUST_USE;
char *xstrndup(const char *s, size_t n) MUST_USE;
char *xasprintf(const char *format, ...) PRINTF(1, 2) MUST_USE;

/* For CLEANUP(): frees what the variable points to. */
void freep(void *pointer_to_pointer);
