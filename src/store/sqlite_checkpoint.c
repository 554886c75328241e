/*
 * Checkpoints, away from commits: a thread of the owner with a connection of its own moves the log
 * into the file, each time another 4 MiB have come. When the log is large all the same, because
 * writing never stopped long enough to begin it anew, the writer itself does the little that is
 * left and begins it anew, between two commits. A connection without the thread (a submitter)
 * checkpoints in place, and only a large log.
 */
#include "store/sqlite.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include <limits.h>

#include "base/mem.h"

enum { OPEN_WAIT_MS = 5000 };

struct checkpointer {
    sqlite3        *db;
    pthread_t       thread;
    pthread_mutex_t lock;
    pthread_cond_t  cond;
    bool            wanted, stop;
    _Atomic int     done; /* frames of the log that are in the file */
    _Atomic int     ripe; /* the log is large, and so many frames should go at once; 0: no */
};

static void
checkpoint(struct checkpointer *c)
{
    int frames = 0, done = 0, passive = SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(c->db, NULL, passive, &frames, &done);
    if (rc == SQLITE_OK && frames > LOG_RESTART / PAGE_SIZE) {
        /* Once more, so that little is left to do while the writer waits. */
        sqlite3_wal_checkpoint_v2(c->db, NULL, passive, &frames, &done);
        c->ripe = frames;
    }
    c->done = done > 0 ? done : 0;
}

/* The log begins anew only when all of it is in the file and nobody writes: the writer is the one
 * who can see to that. Readers are not waited for. */
void
checkpointer_restart(struct sqlite *s)
{
    struct checkpointer *c = s->checkpointer;
    if (c == NULL || c->ripe == 0)
        return;
    bool huge = c->ripe > LOG_TRUNCATE / PAGE_SIZE;
    sqlite3_busy_handler(s->db, NULL, NULL);
    sqlite3_wal_checkpoint_v2(
        s->db, NULL, huge ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_busy_handler(s->db, sqlite_wait_busy, NULL);
    c->ripe = 0;
}

static void *
run(void *arg)
{
    struct checkpointer *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (!c->wanted) {
            pthread_cond_wait(&c->cond, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        checkpoint(c);
        pthread_mutex_lock(&c->lock);
        c->wanted = false;
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void
release(struct checkpointer *c)
{
    sqlite3_close_v2(c->db);
    pthread_cond_destroy(&c->cond);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

int
checkpointer_start(struct sqlite *s, struct err *err)
{
    sigset_t all, old;
    int      flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (s->checkpointer)
        return HF_OK;
    struct checkpointer *c = mem_zalloc(sizeof(*c));
    if (c == NULL)
        return err_nomem(err);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->cond, NULL);
    /* A connection that has read nothing does not know of the log, and would checkpoint nothing. */
    if (sqlite3_open_v2(s->path, &c->db, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(c->db, OPEN_WAIT_MS) != SQLITE_OK ||
        sqlite3_exec(c->db, sql_text(SQL_has_migrations), NULL, NULL, NULL) != SQLITE_OK) {
        release(c);
        return err_set(err, HF_UNAVAILABLE, "%s: cannot open it for checkpoints", s->path);
    }
    sqlite3_wal_autocheckpoint(c->db, 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the program's own threads */
    int rc = pthread_create(&c->thread, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        release(c);
        return err_set(err, HF_UNAVAILABLE, "%s: no thread for checkpoints", s->path);
    }
    s->checkpointer = c;
    return HF_OK;
}

void
checkpointer_stop(struct sqlite *s)
{
    struct checkpointer *c = s->checkpointer;
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->cond);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    release(c);
    s->checkpointer = NULL;
}

void
checkpointer_wake(struct sqlite *s)
{
    struct checkpointer *c = s->checkpointer;
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    if (!c->wanted) {
        c->wanted = true;
        pthread_cond_signal(&c->cond);
    }
    pthread_mutex_unlock(&c->lock);
}

/* After each commit of a connection: the log has so many frames. */
int
checkpoint_hook(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct sqlite       *s = arg;
    struct checkpointer *c = s->checkpointer;
    if (c) {
        int done = c->done;
        if (frames < done) /* the log began anew */
            c->done = done = 0;
        if (frames - done > LOG_CHECKPOINT / PAGE_SIZE)
            checkpointer_wake(s);
    } else if (frames > LOG_RESTART / PAGE_SIZE) {
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
    return SQLITE_OK;
}

int64_t
sqlite_log_bytes(struct sqlite *s)
{
    char        path[PATH_MAX + 8];
    struct stat st;
    snprintf(path, sizeof(path), "%s-wal", s->path);
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}
