/*
 * slow_names.c - preloaded into turnstile, stands for a name server: names below "slow.test" take SLOW_S
 * to resolve, and aren't found then; "moving.test" has the address that is in the file $MOVING. Others
 * resolve as ever.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

enum { SLOW_S = 60 }; /* longer than any test waits */

static void read_address(char *ret, int size)
{
	FILE *f = fopen(getenv("MOVING"), "re");

	if (!f || !fgets(ret, size, f))
		abort();
	ret[strcspn(ret, "\n")] = '\0';
	fclose(f);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret)
{
	union {
		void *symbol;
		resolver call;
	} next = { .symbol = dlsym(RTLD_NEXT, "getaddrinfo") };

	char address[64];

	if (name && !strcmp(name, "moving.test")) {
		read_address(address, sizeof address);
		return next.call(address, service, hints, ret);
	}
	if (!name || !strstr(name, ".slow.test"))
		return next.call(name, service, hints, ret);
	sleep(SLOW_S);
	return EAI_AGAIN;
}
