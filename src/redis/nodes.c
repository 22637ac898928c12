/*
 * nodes.c - nodes, and the map of slots.
 *
 *      CLUSTER SLOTS of one that is up ──┐
 *      MOVED, whoever hears it ──────────┴──> of_slot ──> moved(): everybody takes his things along
 *
 * A node never goes while this is open: what is called forgotten has no link, and waits with its
 * companion for the next server. So a pointer to a node stays good.
 */
#include "redis/nodes.h"

#include "base/clock.h"
#include "base/log.h"
#include "redis/reply.h"

enum { SLOTS_SOON_MS = 20, SLOTS_EVERY_MS = 500 };

static bool is_cluster(const struct redis_nodes *n)
{
	return n->terms.cluster;
}

struct redis_node *redis_nodes_any_up(const struct redis_nodes *n)
{
	struct redis_node *found = NULL;

	for (size_t i = 0; i < n->count; i++) {
		struct redis_node *node = n->node[i];

		if (redis_node_is_up(node) && (!found || (node->slots && !found->slots)))
			found = node;
	}
	return found;
}

const char *redis_nodes_error(const struct redis_nodes *n)
{
	const struct redis_node *found = NULL;

	for (size_t i = 0; i < n->count; i++) {
		const struct redis_node *node = n->node[i];

		if (!redis_node_is_up(node))
			continue;
		if (!*node->error)
			return "";
		found = node;
	}
	return found ? found->error : "";
}

void redis_node_refuses(struct redis_node *node, const char *error)
{
	struct span word = { error, strcspn(error, " ") };

	if (redis_error_is_unusable(error)) {
		if (node->link)
			redis_link_reset(node->link, error);
		return;
	}
	node->refused_ms = clock_ms();
	if (word.len && !strncmp(node->error, error, word.len))
		return;
	snprintf(node->error, sizeof node->error, "%s", error);
	log_warn("redis refuses", LOG_STR("cause", error));
}

void redis_node_accepts(struct redis_node *node)
{
	if (*node->error)
		log_info("redis accepts again");
	*node->error = '\0';
}

/* --- the ups and downs of a node --------------------------------------------------------- */

static void ask_slots_in(struct redis_nodes *n, int64_t in_ms)
{
	if (is_cluster(n))
		timer_start(n->slots_timer, in_ms);
}

static void grace_over(void *arg)
{
	struct redis_node *node = arg;

	node->patient = false;
	node->all->terms.on_patience_over(node->all->terms.arg, node);
}

static void outage_over(void *arg)
{
	struct redis_node *node = arg;

	node->all->terms.on_outage(node->all->terms.arg, node);
}

static void start_waiting(struct redis_node *node, int64_t patience_ms)
{
	timer_start(node->grace, patience_ms);
	timer_start(node->outage, MAX(node->all->terms.config->redis.outage_ms, patience_ms));
	node->patient = true;
}

static void stop_waiting(struct redis_node *node)
{
	timer_stop(node->grace);
	timer_stop(node->outage);
	node->patient = false;
}

static void link_up(void *arg)
{
	struct redis_node *node = arg;

	stop_waiting(node);
	node->answered_ms = 0;
	ask_slots_in(node->all, 0);
	node->all->terms.on_up(node->all->terms.arg, node);
}

/* Silence that others noticed counts from the last answer, a closed connection from now. */
static void link_down(void *arg)
{
	struct redis_node *node = arg;
	struct redis_nodes *n = node->all;
	int64_t now = clock_ms(), patience_ms = n->terms.config->redis.command_timeout_ms;

	if (node->answered_ms && now - node->answered_ms < 2 * patience_ms)
		patience_ms -= now - node->answered_ms;
	start_waiting(node, patience_ms);
	ask_slots_in(n, SLOTS_SOON_MS);
	n->terms.on_down(n->terms.arg, node);
}

void redis_node_doubt(struct redis_node *node, int64_t answered_ms)
{
	if (!node->link)
		return;
	node->answered_ms = answered_ms;
	redis_link_probe(node->link, answered_ms +
					     node->all->terms.config->redis.command_timeout_ms -
					     clock_ms());
}

/* --- connecting -------------------------------------------------------------------------- */

static void open_link(struct redis_node *node)
{
	const struct redis_nodes *n = node->all;
	const struct redis_nodes_terms *t = &n->terms;

	node->link =
		redis_link_new(t->loop, &(struct redis_link_terms){
						.address = &node->address,
						.tls = t->tls,
						.timeout_ms = &t->config->redis.command_timeout_ms,
						.name = n->name,
						.greeting = buf_span(&n->greeting),
						.on_up = link_up,
						.on_down = link_down,
						.arg = node,
					});
	start_waiting(node, t->config->redis.command_timeout_ms);
}

static struct redis_node *new_node(struct redis_nodes *n)
{
	const struct redis_nodes_terms *t = &n->terms;
	struct redis_node *node = xcalloc(1, sizeof *node);

	node->all = n;
	node->address = *t->address;
	node->grace = timer_new(t->loop, grace_over, node);
	node->outage = timer_new(t->loop, outage_over, node);
	n->node[n->count++] = node;
	node->companion = t->on_node(t->arg, node);
	return node;
}

static bool is_at(const struct redis_node *node, struct span host, int port)
{
	const struct redis_address *a = &node->address;
	const struct redis_endpoint *endpoint;

	if (!node->link || a->path)
		return false;
	if (a->port == port && span_eq(span_of(a->host), host))
		return true;
	endpoint = redis_link_endpoint(node->link);
	return endpoint->port == port && span_eq(span_of(endpoint->ip), host);
}

/* The URL may have a name for what others call by its address. */
static struct redis_node *find_node(const struct redis_nodes *n, struct span host, int port)
{
	for (size_t i = 0; i < n->count; i++) {
		if (is_at(n->node[i], host, port))
			return n->node[i];
	}
	return NULL;
}

/* The first one's address is the URL's; the others differ from it in host and port. */
static struct redis_node *free_node(struct redis_nodes *n)
{
	struct redis_node *node;

	for (size_t i = 1; i < n->count; i++) {
		if (!n->node[i]->link)
			return n->node[i];
	}
	if (n->count == REDIS_NODES_MAX)
		return NULL;
	node = new_node(n);
	node->address.host = node->address.path = NULL;
	return node;
}

static struct redis_node *get_node(struct redis_nodes *n, struct span host, int port)
{
	struct redis_node *node = find_node(n, host, port);

	if (node || !(node = free_node(n)))
		return node;
	free(node->address.host);
	node->address.host = xstrndup(host.ptr, host.len);
	node->address.port = port;
	*node->error = '\0';
	node->policy_asked = false;
	open_link(node);
	return node;
}

/* --- who has which slots ----------------------------------------------------------------- */

static void count_slots(struct redis_nodes *n)
{
	for (size_t i = 0; i < n->count; i++)
		n->node[i]->slots = 0;
	for (size_t slot = 0; slot < REDIS_SLOTS; slot++)
		n->node[n->of_slot[slot]]->slots++;
}

static size_t number_of(const struct redis_nodes *n, const struct redis_node *node)
{
	size_t i = 0;

	while (n->node[i] != node)
		i++;
	return i;
}

static bool assign(struct redis_nodes *n, unsigned slot, const struct redis_node *node)
{
	uint8_t i = (uint8_t)number_of(n, node);
	bool changes = n->of_slot[slot] != i;

	n->of_slot[slot] = i;
	return changes;
}

static void moved(struct redis_nodes *n)
{
	count_slots(n);
	n->terms.on_moved(n->terms.arg);
}

static void too_many(struct redis_nodes *n)
{
	if (!n->complained)
		log_warn("the cluster has too many nodes", LOG_INT("known", REDIS_NODES_MAX));
	n->complained = true;
}

/* An empty host is that of who says so. A host may be an IPv6 address, without brackets. */
static struct redis_node *node_at(struct redis_nodes *n, const struct redis_node *from,
				  struct span host, int port)
{
	struct redis_node *node;

	if (!host.len || span_eq(host, SPAN("?")))
		host = span_of(from->address.path ? "localhost"
						  : redis_link_endpoint(from->link)->ip);
	if (port <= 0 || port > 65535)
		return NULL;
	node = get_node(n, host, port);
	if (!node)
		too_many(n);
	return node;
}

/* "MOVED 3999 127.0.0.1:6381" */
struct redis_node *redis_nodes_redirect(struct redis_nodes *n, struct redis_node *from,
					const char *error)
{
	const char *blank = strchr(error, ' '), *colon = strrchr(error, ':');
	char *end = NULL;
	unsigned long slot = blank && blank[1] >= '0' && blank[1] <= '9' ? strtoul(blank, &end, 10)
									 : REDIS_SLOTS;
	struct redis_node *node;

	if (slot >= REDIS_SLOTS || *end != ' ' || !colon || colon < end + 1 || !from->link)
		return NULL;
	node = node_at(n, from, (struct span){ end + 1, (size_t)(colon - end - 1) },
		       atoi(colon + 1));
	if (!node || redis_redirect_of(error) != REDIRECT_MOVED)
		return node;
	ask_slots_in(n, SLOTS_SOON_MS);
	if (assign(n, (unsigned)slot, node))
		moved(n);
	return node;
}

/* [first, last, [host, port, ...], replicas ...] */
static bool read_range(struct redis_nodes *n, const struct redis_node *from, const redisReply *r)
{
	const redisReply *at =
		r->type == REDIS_REPLY_ARRAY && r->elements >= 3 ? r->element[2] : NULL;
	struct redis_node *node;
	bool changes = false;

	if (!at || at->type != REDIS_REPLY_ARRAY || at->elements < 2 ||
	    at->element[1]->type != REDIS_REPLY_INTEGER ||
	    r->element[0]->type != REDIS_REPLY_INTEGER ||
	    r->element[1]->type != REDIS_REPLY_INTEGER)
		return false;
	node = node_at(n, from, (struct span){ at->element[0]->str, at->element[0]->len },
		       (int)at->element[1]->integer);
	for (long long slot = MAX(r->element[0]->integer, 0);
	     node && slot <= MIN(r->element[1]->integer, REDIS_SLOTS - 1); slot++)
		changes |= assign(n, (unsigned)slot, node);
	return changes;
}

static bool is_complete(const struct redis_nodes *n)
{
	for (size_t i = 0; i < n->count; i++) {
		if (n->node[i]->slots && !redis_node_is_up(n->node[i]))
			return false;
	}
	return true;
}

/*
 * Not from within a callback of a link. One that is about to break still owes answers: the next
 * time.
 */
static void forget_nodes(struct job *job)
{
	struct redis_nodes *n = container_of(job, struct redis_nodes, forget_job);

	for (size_t i = 1; i < n->count; i++) {
		struct redis_node *node = n->node[i];

		if (node->slots || !node->link || redis_link_is_up(node->link))
			continue;
		if (!redis_link_is_idle(node->link)) {
			ask_slots_in(n, SLOTS_SOON_MS);
			continue;
		}
		stop_waiting(node);
		redis_link_free(steal(&node->link));
	}
}

static void slots_told(void *arg, const redisReply *reply)
{
	struct redis_node *from = arg;
	struct redis_nodes *n = from->all;
	bool changes = false;

	n->asking = false;
	if (reply && !redis_reply_fits(reply, redis_is_array))
		redis_link_reset(from->link, "an answer that makes no sense");
	if (reply && reply->type == REDIS_REPLY_ERROR && !n->complained) {
		log_warn("redis doesn't tell the slots of a cluster", LOG_STR("cause", reply->str));
		n->complained = true;
	}
	for (size_t i = 0; reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
		changes |= read_range(n, from, reply->element[i]);
	if (changes)
		moved(n);
	if (reply && reply->type == REDIS_REPLY_ARRAY)
		loop_defer(n->terms.loop, &n->forget_job);
	if (!is_complete(n))
		ask_slots_in(n, SLOTS_EVERY_MS);
}

/* Each time another one that is up: some know of a change later than others. */
static void ask_slots(void *arg)
{
	const struct span command = SPAN("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n");
	struct redis_nodes *n = arg;

	if (n->asking) /* what it answers may be older than what this is to find out */
		ask_slots_in(n, SLOTS_SOON_MS);
	for (size_t i = 0; i < n->count && !n->asking; i++) {
		struct redis_node *node = n->node[++n->asked % n->count];

		n->asking = redis_node_is_up(node) &&
			    redis_link_send(node->link, command, slots_told, node) == 0;
	}
}

/* --- life -------------------------------------------------------------------------------- */

void redis_nodes_open(struct redis_nodes *n, const struct redis_nodes_terms *terms)
{
	n->terms = *terms;
	n->name = xstrdup(terms->name);
	buf_append(&n->greeting, terms->greeting.ptr, terms->greeting.len);
	n->forget_job.run = forget_nodes;
	n->slots_timer = timer_new(terms->loop, ask_slots, n);
	open_link(new_node(n));
	count_slots(n);
}

void redis_nodes_close(struct redis_nodes *n)
{
	timer_clear(&n->slots_timer);
	job_cancel(&n->forget_job);
	for (size_t i = 0; i < n->count; i++) {
		timer_clear(&n->node[i]->grace);
		timer_clear(&n->node[i]->outage);
		n->terms.on_node_gone(n->terms.arg, n->node[i]);
		redis_link_free(steal(&n->node[i]->link));
		if (i > 0)
			free(n->node[i]->address.host);
		free(n->node[i]);
	}
	n->count = 0;
	free(steal(&n->name));
	buf_clear(&n->greeting);
}
