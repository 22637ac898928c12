#include "request/source.h"

#include "config/accounts.h"

static const struct metadata *ids_of(struct source_evidence *e)
{
	if (!e->read_metadata)
		metadata_read(e->metadata, &e->ids);
	e->read_metadata = true;
	return &e->ids;
}

static struct span find_header(const struct config *config, struct span name,
			       const struct source_evidence *e)
{
	if (!config_trusts(config, e->peer) || headers_connection_names(e->headers, name))
		return (struct span){ NULL, 0 };
	return span_trim(headers_get(e->headers, name));
}

static struct span find_client(const struct config *config, struct source_evidence *e)
{
	if (config_trusts_all(config))
		return span_of(e->peer); /* nobody in particular is trusted to name another one */
	client_find(config->account.trusted_proxies, e->headers, e->peer, e->client);
	return span_of(e->client);
}

struct span source_find(const struct config *config, const struct account_source *source,
			struct source_evidence *e)
{
	switch (source->kind) {
	case ACCOUNT_HEADER:
		return find_header(config, span_of(source->arg), e);
	case ACCOUNT_API_KEY:
		return span_of(e->key_name);
	case ACCOUNT_ACCOUNT_UUID:
		return span_of(ids_of(e)->account_uuid);
	case ACCOUNT_SESSION_ID:
		return span_of(ids_of(e)->session_id);
	case ACCOUNT_DEVICE_ID:
		return span_of(ids_of(e)->device_id);
	case ACCOUNT_CLIENT:
		return find_client(config, e);
	case ACCOUNT_STATIC:
		return span_trim(span_of(source->arg));
	case ACCOUNT_NONE:
		break;
	}
	return (struct span){ NULL, 0 };
}

const char *source_session(struct source_evidence *e)
{
	return ids_of(e)->session_id;
}

const char *source_name(enum account_source_kind kind)
{
	static const char *const names[] = {
		[ACCOUNT_NONE] = "default",
		[ACCOUNT_HEADER] = "header",
		[ACCOUNT_API_KEY] = "api-key",
		[ACCOUNT_ACCOUNT_UUID] = "metadata.account_uuid",
		[ACCOUNT_SESSION_ID] = "metadata.session_id",
		[ACCOUNT_DEVICE_ID] = "metadata.device_id",
		[ACCOUNT_CLIENT] = "client",
		[ACCOUNT_STATIC] = "static",
	};

	must(kind < ARRAY_SIZE(names));
	return names[kind];
}

void source_clear(struct source_evidence *e)
{
	metadata_clear(&e->ids);
	e->read_metadata = false;
}
