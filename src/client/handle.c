/*
 * The life of a handle: opening and closing, the last error, the log, the stop flag, and what a
 * program offers to a worker.
 */
#include "client/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static const char default_url[] = "sqlite:holdfast.db";

int
handle_new(struct store *store, hf **out)
{
    hf *h = mem_zalloc(sizeof(*h));
    if (h == NULL)
        return HF_NOMEM;
    if (pthread_mutex_init(&h->mutex, NULL) != 0) {
        mem_free(h);
        return HF_NOMEM;
    }
    if (pthread_mutex_init(&h->err_mutex, NULL) != 0) {
        pthread_mutex_destroy(&h->mutex);
        mem_free(h);
        return HF_NOMEM;
    }
    h->store = store;
    atomic_init(&h->stops, 0);
    atomic_init(&h->stop_fd, -1);
    *out = h;
    return HF_OK;
}

int
handle_fail(hf *h, const struct err *err)
{
    int code = err->code;
    pthread_mutex_lock(&h->err_mutex);
    h->err = *err;
    pthread_mutex_unlock(&h->err_mutex);
    return code;
}

int
hf_open(const char *url, hf **out)
{
    struct err    err = {0};
    struct store *store = NULL;

    *out = NULL;
    if (handle_new(NULL, out))
        return HF_NOMEM;
    if (url == NULL)
        url = getenv("HOLDFAST_STORE");
    if (url == NULL || url[0] == '\0')
        url = default_url;
    if (store_open(url, NULL, &store, &err))
        return handle_fail(*out, &err);
    (*out)->store = store;
    return HF_OK;
}

void
hf_close(hf *h)
{
    if (h == NULL)
        return;
    if (h->test)
        h->close_test(h);
    if (h->spare)
        h->spare->ops->close(h->spare);
    if (h->store)
        h->store->ops->close(h->store);
    if (atomic_load(&h->stop_fd) >= 0)
        close(atomic_load(&h->stop_fd));
    registry_release(&h->registry);
    pthread_mutex_destroy(&h->mutex);
    pthread_mutex_destroy(&h->err_mutex);
    mem_free(h);
}

int
hf_errcode(const hf *h)
{
    return h ? h->err.code : HF_NOMEM;
}

const char *
hf_errmsg(const hf *h)
{
    return h ? h->err.text : err_text(HF_NOMEM);
}

void
hf_set_log(hf *h, hf_log_fn fn, void *arg)
{
    pthread_mutex_lock(&h->mutex);
    h->log = (struct log){.fn = fn, .arg = arg};
    if (h->store)
        h->store->log = h->log;
    if (h->spare)
        h->spare->log = h->log;
    pthread_mutex_unlock(&h->mutex);
}

int
hf_workflow(hf *h, const char *name, int version, hf_workflow_fn fn)
{
    struct err err = {0};
    pthread_mutex_lock(&h->mutex);
    int rc = registry_add_workflow(&h->registry, name, version, fn, &err);
    pthread_mutex_unlock(&h->mutex);
    return rc ? handle_fail(h, &err) : HF_OK;
}

int
hf_handler(hf *h, const char *name, hf_task_fn fn, void *arg, const hf_opt *defaults)
{
    struct err err = {0};
    pthread_mutex_lock(&h->mutex);
    int rc = registry_add_handler(&h->registry, name, fn, arg, defaults, &err);
    pthread_mutex_unlock(&h->mutex);
    return rc ? handle_fail(h, &err) : HF_OK;
}

/* May be called by a signal handler: atomics and write only. */
void
hf_stop(hf *h)
{
    static const uint64_t one = 1;
    int                   saved = errno;

    atomic_fetch_add(&h->stops, 1);
    int fd = atomic_load(&h->stop_fd);
    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0) {
        /* The counter is full: whoever reads it wakes up anyway. */
    }
    errno = saved;
}

const char *
hf_code_name(int code)
{
    return err_name(code);
}

const char *
hf_code_text(int code)
{
    return err_text(code);
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *
hf_version_text(void)
{
    return TEXT(HF_VERSION_MAJOR) "." TEXT(HF_VERSION_MINOR) "." TEXT(HF_VERSION_PATCH);
}
