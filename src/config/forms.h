/*
 * forms.h - what a text may look like: addresses, URLs, names, files.
 *
 * These check the form only. Nothing is resolved or connected to; who uses a URL takes it apart.
 */
#pragma once

#include "base/buf.h"
#include "base/span.h"

enum {
	KEY_PREFIX_MAX = 64,
	INSTANCE_MAX = 64, /* a host name's length on Linux; tickets have room for it */
	SECRET_MIN = 16,
	SECRET_MAX = 256,
	ACCOUNT_STATIC_MAX = 128, /* as long as the name of an account may be */
};

struct text_form {
	const char *allowed; /* for errors and --help */

	/*
	 * 0, and `*text` perhaps shortened to its normal form (a trailing "/" goes); or -EINVAL and
	 * what is wrong appended to `why`. A text that may hold a password isn't repeated there.
	 */
	int (*check)(struct span *text, struct buf *why);
};

extern const struct text_form form_address;    /* host:port, [v6]:port, unix:PATH; port 0 too */
extern const struct text_form form_http_url;   /* http(s)://host[:port][/path], RFC 3986 */
extern const struct text_form form_webhook;    /* empty, or a URL with a path and a query */
extern const struct text_form form_proxy_url;  /* http, https or socks URL with user and password */
extern const struct text_form form_redis_url;  /* see forms.c */
extern const struct text_form form_host;       /* "upstream", "client", or host[:port] */
extern const struct text_form form_file;       /* a readable file */
extern const struct text_form form_socket;     /* empty, or the path of a Unix socket */
extern const struct text_form form_line_path;  /* empty, or a path that needs no quotes anywhere */
extern const struct text_form form_admin;      /* as form_address, or empty */
extern const struct text_form form_secret;     /* empty, or what a bearer token is made of */
extern const struct text_form form_key_prefix; /* letters, digits, "._-:" */
extern const struct text_form form_instance;   /* letters, digits, "._-", at most INSTANCE_MAX */

/* Appends the URL (of a form above) with its password as "***". */
void form_mask(struct span url, struct buf *to);

/*
 * Whether a URL of form_redis_url can be one for a Redis Cluster: no sentinels, no database but 0.
 */
bool form_suits_cluster(struct span redis_url);

/*
 * Whether only this machine can reach an address (of form_address): a Unix socket, localhost, or a
 * loopback address written as one. Nothing is resolved.
 */
bool form_is_loopback(struct span address);

/* An RFC 9110 token, section 5.6.2: what a header's name is made of. Not empty. */
bool form_is_token(struct span s);

/* Not empty, and all letters, digits or one of `others`. */
bool form_is_name(struct span s, const char *others);

/*
 * Whether a field of that name carries a credential: its value is shown nowhere. Those that are
 * known for it, and any whose name ends in "key", "token", "secret", "password" or the like.
 */
bool form_is_credential(struct span field);
