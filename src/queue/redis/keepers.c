#include "queue/redis/keepers.h"

#include "queue/redis/presence.h"

static void says(void *arg, const struct keeper_news *news)
{
	const struct node_keeper *k = arg;

	if (news->kind == KEEPER_TROUBLE)
		redis_node_doubt(k->node, news->answered_ms);
	else
		k->all->fn(k->all->arg, k->node, news);
}

void *keepers_node(struct keepers *all, struct redis_node *node)
{
	struct node_keeper *k = xcalloc(1, sizeof *k);

	k->all = all;
	k->node = node;
	k->keeper = keeper_new(all->loop, &node->address, all->tls, all->names, says, k);
	keeper_set_timeout(k->keeper, all->config->redis.command_timeout_ms);
	return k;
}

void keepers_node_gone(struct redis_node *node)
{
	struct node_keeper *k = steal(&node->companion);

	keeper_free(k->keeper);
	free(k);
}

void keepers_node_up(struct redis_node *node)
{
	keeper_aim(keeper_of(node), redis_link_endpoint(node->link));
}

void keepers_moved(struct keepers *k, struct redis_nodes *nodes)
{
	CLEANUP(redis_command_clear) struct redis_command live = { 0 };

	redis_presence_live_command(k->names, &live);
	for (size_t i = 0; i < nodes->count; i++)
		keeper_show_life(keeper_of(nodes->node[i]),
				 nodes->node[i] == redis_nodes_at(nodes, live.slot)
					 ? KEEPER_SHOWS_ALWAYS
					 : KEEPER_SHOWS_NOTHING);
}

void keepers_refresh(struct redis_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		keeper_refresh(keeper_of(nodes->node[i]));
}

void keepers_stop(struct redis_nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		keeper_stop(keeper_of(nodes->node[i]));
}
