/*
 * routes.c - the table of routes. To add one: a row here, its handler, a row of src/admin/README.md's
 * table (tests/lint/routes compares the two).
 */
#include "admin/routes.h"

#include "admin/call.h"

/* clang-format off */
const struct route routes[] = {
	{ "GET", "/", ROUTE_OPEN, serve_page,
	  "The dashboard." },
	{ "GET", "/dashboard/{file}", ROUTE_OPEN, serve_asset,
	  "Its parts, and the licences of what is in it." },
	{ "GET", "/healthz", ROUTE_OPEN, serve_alive,
	  "Is the process alive?" },
	{ "GET", "/readyz", ROUTE_OPEN, serve_ready,
	  "Can it serve user messages? 503 with reasons if not." },
	{ "GET", "/metrics", ROUTE_READ, serve_metrics,
	  "Metrics of this process in Prometheus' text format." },
	{ "GET", "/api", ROUTE_READ, serve_api,
	  "This list." },
	{ "GET", "/api/status", ROUTE_READ, serve_status,
	  "This process: version, backend, what it is doing." },
	{ "GET", "/api/overview", ROUTE_READ, serve_overview,
	  "What the dashboard shows: ?account=A&q=TEXT&sort=S&order=O&limit=1..500&offset=N." },
	{ "GET", "/api/changes", ROUTE_READ, serve_changes,
	  "The last 200 changes that operators made by this process: who, what, before, after." },
	{ "GET", "/api/history", ROUTE_READ, serve_history,
	  "Hours and days of this process: ?hours=1..192&by=total|account|share&step=auto|hour|range&account=A&format=json|csv." },
	{ "GET", "/api/queues", ROUTE_READ, serve_queues,
	  "Accounts in use or lately so, a page of them: ?limit=1..500&offset=N." },
	{ "GET", "/api/queues/{account}", ROUTE_READ, serve_queue,
	  "One account: who holds, who waits, how long turns take." },
	{ "DELETE", "/api/queues/{account}/lock", ROUTE_WRITE, serve_force,
	  "Ends the account's turns, whoever has them; the next are served." },
	{ "DELETE", "/api/queues/{account}/lock/{ticket}", ROUTE_WRITE, serve_force_one,
	  "Ends the turn that this ticket has; the next is served." },
	{ "POST", "/api/queues/{account}/pause", ROUTE_WRITE, serve_pause,
	  "Gives out no turns of the account until it is resumed; ?unseen=1: also of one not used lately." },
	{ "POST", "/api/queues/{account}/resume", ROUTE_WRITE, serve_resume,
	  "Ends a pause." },
	{ "DELETE", "/api/queues/{account}/hold", ROUTE_WRITE, serve_release,
	  "Ends a hold by the upstream's limit: the line goes on." },
	{ "DELETE", "/api/queues/{account}/waiters/{ticket}", ROUTE_WRITE, serve_remove,
	  "Takes a waiter out of the line; its request is answered 503." },
	{ "GET", "/api/queues/{account}/config", ROUTE_READ, serve_account_config,
	  "What counts for the account, and what was set for it." },
	{ "PUT", "/api/queues/{account}/config", ROUTE_WRITE, serve_account_config_put,
	  "Sets any of enabled, mode, delayMs, timeoutMs, turns for the account." },
	{ "DELETE", "/api/queues/{account}/config", ROUTE_WRITE, serve_account_config_delete,
	  "Drops what was set for the account." },
	{ "GET", "/api/config", ROUTE_READ, serve_config,
	  "What counts, and where it comes from." },
	{ "PUT", "/api/config", ROUTE_WRITE, serve_config_put,
	  "Sets any of enabled, mode, delayMs, timeoutMs, turns for all processes." },
	{ "POST", "/api/webhook/test", ROUTE_WRITE, serve_webhook_test,
	  "Sends an event to admin.webhook, and says what became of it." },
	{ "DELETE", "/api/config", ROUTE_WRITE, serve_config_delete,
	  "Drops what was set; the configured values count again." },
};
/* clang-format on */

const size_t routes_count = ARRAY_SIZE(routes);

void serve_api(struct call *c)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < routes_count; i++) {
		static const char *const access[] = { "open", "read", "write" };
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "method", routes[i].method);
		cJSON_AddStringToObject(row, "path", routes[i].path);
		cJSON_AddStringToObject(row, "access", access[routes[i].access]);
		cJSON_AddStringToObject(row, "help", routes[i].help);
		cJSON_AddItemToArray(list, row);
	}
	call_reply(c, 200, list);
}
