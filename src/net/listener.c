#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/span.h"

enum {
	BACKLOG = INT_MAX, /* the kernel makes net.core.somaxconn of it: listen(2) */
	ANYBODY = 0777,
	US = 0600,
};

/*
 * After so much silence the kernel asks whether the client is still there, so often, before it
 * gives it up.
 */
enum { PROBE_AFTER_S = 15, PROBE_EVERY_S = 5, PROBES = 3 };

/*
 * A socket's path that nobody listens on any more is left over from a process that was killed. The
 * path of something else is refused in the same way, but isn't ours to remove.
 */
static void unlink_stale(int type, const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd >= 0 && !stat(a->sun_path, &st) && S_ISSOCK(st.st_mode) &&
	    connect(fd, (const struct sockaddr *)a, sizeof *a) && errno == ECONNREFUSED)
		unlink(a->sun_path);
	if (fd >= 0)
		close(fd);
}

/*
 * Accepted sockets inherit it (tcp(7)). A client that vanished, and said nothing, would else get a
 * turn.
 */
static void keep_alive(int fd)
{
	const int on = 1, after = PROBE_AFTER_S, every = PROBE_EVERY_S, probes = PROBES;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &after, sizeof after);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* On Linux, a Unix socket's path gets the socket's own mode, less the umask. */
static int bind_and_listen(int type, mode_t mode, const struct sockaddr *a, socklen_t len)
{
	int on = 1, error;
	int fd = socket(a->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->sa_family != AF_UNIX)
		keep_alive(fd);
	if ((a->sa_family != AF_UNIX || !fchmod(fd, mode)) && !bind(fd, a, len) &&
	    !listen(fd, BACKLOG))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

static int unix_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof ret->sun_path)
		return -ENAMETOOLONG;
	strcpy(ret->sun_path, path);
	return 0;
}

static int listen_unix(const char *path, int type, mode_t mode)
{
	struct sockaddr_un a;
	int r = unix_address(path, &a);

	if (r < 0)
		return r;
	unlink_stale(type, &a);
	return bind_and_listen(type, mode, (struct sockaddr *)&a, sizeof a);
}

/* The caller frees what is found; or -EADDRNOTAVAIL and a line in `errors`. */
static int resolve(const char *address, int flags, struct buf *errors, struct addrinfo **ret)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	const char *colon = strrchr(address, ':');
	struct span host;
	int r;

	must(colon); /* config checked it */
	host = (struct span){ address, (size_t)(colon - address) };
	if (host.len > 1 && host.ptr[0] == '[')
		host = (struct span){ host.ptr + 1, host.len - 2 };
	CLEANUP(freep) char *name = host.len ? xstrndup(host.ptr, host.len) : NULL;

	r = getaddrinfo(name, colon + 1, &hints, ret);
	if (!r)
		return 0;
	buf_printf(errors, "%s: %s\n", address, gai_strerror(r));
	return -EADDRNOTAVAIL;
}

static int listen_tcp(const char *address, struct buf *errors)
{
	struct addrinfo *found = NULL;
	int r = resolve(address, AI_PASSIVE, errors, &found);

	if (r < 0)
		return r;
	r = bind_and_listen(SOCK_STREAM, 0, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return r;
}

static void explain(struct buf *errors, const char *name, const char *address, int error)
{
	buf_printf(errors, "can't listen on %s: %s", address, strerror(error));
	if (error == EADDRINUSE)
		buf_printf(errors,
			   ": another program has it; stop that one, or set %s to another port",
			   name);
	else if (error == EACCES)
		buf_printf(errors,
			   ": ports below 1024 and this path need privileges; choose another in %s",
			   name);
	buf_puts(errors, "\n");
}

char *listener_address(int fd, const char *configured)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof a;
	char host[INET6_ADDRSTRLEN], port[8];

	if (!strncmp(configured, "unix:", 5) || getsockname(fd, (struct sockaddr *)&a, &len) ||
	    getnameinfo((struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		return xstrdup(configured);
	return xasprintf(a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_unix(const char *address)
{
	return !strncmp(address, "unix:", 5);
}

int listener_open(const char *name, const char *address, struct buf *errors, char **ret_address)
{
	int fd = is_unix(address) ? listen_unix(address + 5, SOCK_STREAM, ANYBODY)
				  : listen_tcp(address, errors);

	if (fd >= 0)
		*ret_address = listener_address(fd, address);
	else if (!errors->len)
		explain(errors, name, address, -fd);
	return fd;
}

void listener_widen(int fd)
{
	listen(fd, BACKLOG);
}

int listener_open_packets(const char *path)
{
	return listen_unix(path, SOCK_SEQPACKET, US);
}

static int connect_to(const struct sockaddr *a, socklen_t len)
{
	int error, fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !connect(fd, a, len))
		return fd < 0 ? -errno : fd;
	error = errno;
	close(fd);
	return -error;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un a;
	int r = unix_address(path, &a);

	return r < 0 ? r : connect_to((struct sockaddr *)&a, sizeof a);
}

static int connect_tcp(const char *address, struct buf *errors)
{
	struct addrinfo *found = NULL;
	int r = resolve(address, 0, errors, &found);

	if (r < 0)
		return r;
	r = connect_to(found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return r;
}

int listener_connect(const char *address, struct buf *errors)
{
	int fd = is_unix(address) ? connect_unix(address + 5) : connect_tcp(address, errors);

	if (fd < 0 && !errors->len)
		buf_printf(errors, "%s: %s\n", address, strerror(-fd));
	return fd;
}

void listener_close(int fd, const char *address)
{
	if (address && is_unix(address)) /* first: behind the close it may be another's by now */
		unlink(address + 5);
	close(fd);
}
