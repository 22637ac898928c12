#include "config/disk.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

/* What a look is about; the thread has it to itself until it has ended. */
struct look {
	uv_work_t work;
	struct disk *disk; /* NULL: nobody wants to know any more */
	struct config_sources sources;
	uint64_t running, seen; /* digests of what runs, and of what was seen last */
	struct stat stamp;      /* of what was seen last */
	enum disk_state state;
};

struct disk {
	struct loop *loop;
	const struct config_sources *sources;
	const struct config *live;
	int64_t interval_ms;
	struct timer *timer;
	struct look *look; /* NULL: none is under way */
	bool again;        /* look once more after that */
	uint64_t running, seen;
	struct stat stamp;
	enum disk_state state;
};

const char *disk_words(enum disk_state state)
{
	static const char *const words[] = {
		[DISK_IN_USE] = "the file on disk is what runs",
		[DISK_CHANGED] = "the file on disk isn't what runs; SIGHUP reads it",
		[DISK_BROKEN] =
			"the file on disk isn't what runs and has errors; a start would fail",
		[DISK_UNREADABLE] = "the file that runs can't be read any more; a start would fail",
	};

	return words[state];
}

/* --- on the thread ---------------------------------------------------------------------------- */

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static enum disk_state try_it(const struct look *l)
{
	CLEANUP(config_freep) struct config *config = NULL;
	CLEANUP(buf_clear) struct buf errors = { 0 };

	return config_load(&l->sources, &errors, &config) < 0 ? DISK_BROKEN : DISK_CHANGED;
}

static void look_at_it(uv_work_t *work)
{
	struct look *l = container_of(work, struct look, work);
	CLEANUP(buf_clear) struct buf text = { 0 }, why = { 0 };
	struct stat stamp;

	if (stat(l->sources.file, &stamp)) {
		l->state = DISK_UNREADABLE;
		l->stamp = (struct stat){ 0 };
		return;
	}
	if (is_same(&stamp, &l->stamp) && l->seen)
		return;
	l->stamp = stamp;
	if (file_read(l->sources.file, &text, &why) < 0) {
		l->state = DISK_UNREADABLE;
		return;
	}
	l->seen = config_digest(buf_span(&text));
	l->state = l->seen == l->running ? DISK_IN_USE : try_it(l);
}

/* --- on the loop ------------------------------------------------------------------------------ */

static void tell(const struct disk *d)
{
	if (d->state == DISK_IN_USE)
		log_info(disk_words(d->state), LOG_STR("config", d->sources->file));
	else
		log_warn(disk_words(d->state), LOG_STR("config", d->sources->file));
}

static void looked(uv_work_t *work, int status)
{
	struct look *l = container_of(work, struct look, work);
	struct disk *d = l->disk;

	if (!d) {
		free(l);
		return;
	}
	d->look = NULL;
	if (!status && !d->again && l->running == d->running) {
		d->stamp = l->stamp;
		d->seen = l->seen;
		if (d->state != l->state) {
			d->state = l->state;
			tell(d);
		}
	}
	free(l);
	timer_start(d->timer, d->again ? 0 : d->interval_ms);
	d->again = false;
}

static void start_look(void *arg)
{
	struct disk *d = arg;
	struct look *l = d->look = xcalloc(1, sizeof *l);

	l->disk = d;
	l->sources = *d->sources;
	l->running = d->running;
	l->seen = d->seen;
	l->stamp = d->stamp;
	l->state = d->state;
	must(uv_queue_work(&d->loop->uv, &l->work, look_at_it, looked) == 0);
}

void disk_look(struct disk *d)
{
	if (!d->sources->file)
		return;
	d->running = d->live->file_digest;
	d->seen = 0;
	if (d->look)
		d->again = true;
	else
		timer_start(d->timer, 0);
}

enum disk_state disk_state(const struct disk *d)
{
	return d->state;
}

struct disk *disk_new(struct loop *loop, const struct config_sources *sources,
		      const struct config *live, int64_t interval_ms)
{
	struct disk *d = xcalloc(1, sizeof *d);

	d->loop = loop;
	d->sources = sources;
	d->live = live;
	d->interval_ms = interval_ms;
	d->timer = timer_new(loop, start_look, d);
	disk_look(d);
	return d;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	if (d->look) {
		d->look->disk = NULL;
		uv_cancel((uv_req_t *)&d->look->work);
	}
	timer_clear(&d->timer);
	free(d);
}
