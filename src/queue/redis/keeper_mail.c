#include "queue/redis/keeper_mail.h"

#include <pthread.h>

struct letter {
	struct list link;
	struct keeper_news news;
};

struct keeper_mail {
	uv_async_t async;
	keeper_fn fn;
	void *arg;
	pthread_mutex_t mutex; /* guards: */
	struct list letters;
};

void keeper_mail_put(struct keeper_mail *m, const struct keeper_news *news)
{
	struct letter *letter = xcalloc(1, sizeof *letter);

	letter->news = *news;
	pthread_mutex_lock(&m->mutex);
	list_append(&m->letters, &letter->link);
	pthread_mutex_unlock(&m->mutex);
	uv_async_send(&m->async);
}

static struct letter *take_letter(struct keeper_mail *m)
{
	struct letter *letter;

	pthread_mutex_lock(&m->mutex);
	letter = list_first(&m->letters, struct letter, link);
	if (letter)
		list_remove(&letter->link);
	pthread_mutex_unlock(&m->mutex);
	return letter;
}

static void on_async(uv_async_t *async)
{
	struct keeper_mail *m = container_of(async, struct keeper_mail, async);
	struct letter *letter;

	while ((letter = take_letter(m))) {
		m->fn(m->arg, &letter->news);
		free(letter);
	}
}

struct keeper_mail *keeper_mail_new(struct loop *loop, keeper_fn fn, void *arg)
{
	struct keeper_mail *m = xcalloc(1, sizeof *m);

	m->fn = fn;
	m->arg = arg;
	list_init(&m->letters);
	pthread_mutex_init(&m->mutex, NULL);
	must(uv_async_init(&loop->uv, &m->async, on_async) == 0);
	return m;
}

static void closed(uv_handle_t *async)
{
	free(container_of((uv_async_t *)async, struct keeper_mail, async));
}

void keeper_mail_free(struct keeper_mail *m)
{
	struct letter *letter;

	while ((letter = take_letter(m)))
		free(letter);
	pthread_mutex_destroy(&m->mutex);
	uv_close((uv_handle_t *)&m->async, closed);
}
