/*
 * slow_names.c - preloaded into turnstile, stands for a name server that doesn't answer: names below
 * "slow.test" take SLOW_S to resolve, and aren't found then. Others resolve as ever.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int (*resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

enum { SLOW_S = 60 }; /* longer than any test waits */

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	union {
		void *symbol;
		resolver call;
	} next = { .symbol = dlsym(RTLD_NEXT, "getaddrinfo") };

	if (!name || !strstr(name, ".slow.test"))
		return next.call(name, service, hints, ret);
	sleep(SLOW_S);
	return EAI_AGAIN;
}
