/*
 * takeover.h - how a new process takes the listening sockets of the running one: the protocol.
 *
 *      old process: takeover_server.c             new process: takeover_client.c
 *      listens, and at listen.takeover  <──────── takeover_client_ask()      connects, "take"
 *      "sockets", with descriptors      ────────> takeover_client_take()     each listener its own
 *      still serves                               starts; from now on both accept
 *      retires                          <──────── takeover_client_finish()   "go"
 *      closes its descriptors           ────────> "gone"                     has the path now
 *
 * The sockets themselves are passed (unix(7), SCM_RIGHTS), as HAProxy does with `-x`. A second
 * socket with SO_REUSEPORT would be easier to come by, but closing the first one resets what is in
 * its queue of accepted connections, and the handshakes under way; one socket in two processes has
 * one queue, which loses nothing, whoever closes it first. It also works for Unix sockets and for
 * port 0; and two programs on one port by mistake are still told so.
 */
#pragma once

enum { TAKEOVER_SOCKETS_MAX = 4, TAKEOVER_MESSAGE_MAX = 1024 };

/* What is said, a packet each (SOCK_SEQPACKET). "sockets" has a line for each: NAME ADDRESS. */
#define TAKEOVER_TAKE    "turnstile 1 take"
#define TAKEOVER_SOCKETS "turnstile 1 sockets\n"
#define TAKEOVER_GO      "turnstile 1 go"
#define TAKEOVER_GONE    "turnstile 1 gone"
