/* Transfers, their clients, and the audit. A line of the ledger is "RUN/... word ..." or "RUN word
 * ...": the same line again is a repeated attempt. */
#include "ledger.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 400, ID_SIZE = 60 };

/* ---- the work */

static int
book(hf_tk *tk, void *arg)
{
    (void)arg;
    const char *name = hf_tk_name(tk);
    if (strcmp(name, "credit") == 0 && hf_tk_input(tk)[0] == 'x')
        return hf_tk_fail_final(tk, "closed", "no such account");
    effect("%s %s %s", hf_tk_key(tk), name, hf_tk_input(tk) + 1);
    if (rand() % 4 == 0)
        usleep((unsigned)(rand() % 5000));
    return rand() % 10 == 0 ? hf_tk_fail(tk, "shaky", "tried") : hf_tk_return(tk, "booked");
}

/* Standalone: its input is the id under which it was ordered. */
static int
letter(hf_tk *tk, void *arg)
{
    (void)arg;
    effect("%s letter", hf_tk_input(tk));
    return rand() % 10 == 0 ? hf_tk_fail(tk, "shaky", "tried") : hf_tk_return(tk, "sent");
}

#define STUBBORN HF_OPT(.first_delay_ms = 5, .max_attempts = -1, .max_delay_ms = 500)

static int
audit(hf_wf *wf)
{
    const char *out;
    HF_TRY(hf_task(wf, "note", hf_input(wf), &out, STUBBORN));
    return hf_return(wf, out);
}

static int
transfer(hf_wf *wf)
{
    const char *in = hf_input(wf);
    hf_call     child;

    HF_TRY(hf_on_fail(wf, "refund", in, STUBBORN));
    HF_TRY(hf_task(wf, "debit", in, NULL, STUBBORN));
    HF_TRY(hf_child_start(wf, "audit", in, &child));
    HF_TRY(hf_sleep(wf, 20));
    HF_TRY(hf_signal(wf, "approved", NULL));
    HF_TRY(hf_result(wf, child, NULL));
    HF_TRY(hf_task(wf, "credit", in, NULL, STUBBORN));
    return hf_return(wf, "moved");
}

void
ledger_offer(hf *h)
{
    srand((unsigned)getpid());
    OK(h, hf_workflow(h, "transfer", 1, transfer));
    OK(h, hf_workflow(h, "audit", 1, audit));
    static const char *const tasks[] = {"debit", "credit", "refund", "note"};
    for (int i = 0; i < 4; i++)
        OK(h, hf_handler(h, tasks[i], book, NULL, STUBBORN));
    OK(h, hf_handler(h, "letter", letter, NULL, STUBBORN));
}

/* ---- clients */

/* The code of a call that is repeated until its outcome is known. The first try of a start, or of a
 * signal to a run that then ended, may have been the one that did it. */
#define CERTAINLY(h, rc, call, done)                                                               \
    do {                                                                                           \
        int doubt_ = 0;                                                                            \
        while ((rc = (call)) == HF_UNAVAILABLE || rc == HF_UNKNOWN) {                              \
            doubt_ = doubt_ || rc == HF_UNKNOWN;                                                   \
            sleep_ms(20);                                                                          \
        }                                                                                          \
        if (rc == (done) && doubt_)                                                                \
            rc = 0;                                                                                \
    } while (0)

static void
tell_error(hf *h, const char *id, int rc)
{
    effect("error %s %s %s", id, hf_code_name(rc), hf_errmsg(h));
}

static void
order_transfer(hf *h, const char *id)
{
    const char *in = rand() % 5 ? "o1" : "x1"; /* one in five goes to a closed account */
    int         rc;

    CERTAINLY(h, rc, hf_start(h, "transfer", in, HF_OPT(.id = id), NULL), HF_EXISTS);
    if (rc == 0)
        CERTAINLY(h, rc, hf_send(h, id, "approved", NULL, HF_OPT(.key = "a")), HF_DONE);
    if (rc == 0)
        effect("%s acknowledged %s", id, in);
    else
        tell_error(h, id, rc);
}

static void
order_letter(hf *h, const char *id)
{
    int rc;
    CERTAINLY(h, rc, hf_enqueue(h, "letter", id, HF_OPT(.id = id), NULL), HF_EXISTS);
    if (rc == 0)
        effect("%s posted", id);
    else
        tell_error(h, id, rc);
}

static _Noreturn void
order(int number, int pause_us)
{
    char id[ID_SIZE];
    hf  *h;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    srand((unsigned)getpid());
    while ((h = client_try()) == NULL)
        sleep_ms(50);
    for (int i = 0;; i++) {
        snprintf(id, sizeof(id), "%c%d-%d-%d", i % 3 == 2 ? 'l' : 't', number, (int)getpid(), i);
        if (i % 3 == 2)
            order_letter(h, id);
        else
            order_transfer(h, id);
        usleep((unsigned)(pause_us / 2 + rand() % pause_us));
    }
}

pid_t
ledger_client_start(int number, int pause_us)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        order(number, pause_us);
    return pid;
}

/* ---- the audit */

static char (*lines)[LINE_SIZE];
static size_t n_lines;

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
read_ledger(void)
{
    FILE  *f = fopen("effects", "r");
    size_t size = 1000000, kept = 0;

    free(lines);
    lines = calloc(size, LINE_SIZE);
    n_lines = 0;
    CHECK(f != NULL && lines != NULL);
    for (; n_lines < size && fgets(lines[n_lines], LINE_SIZE, f); n_lines++)
        lines[n_lines][strcspn(lines[n_lines], "\n")] = '\0';
    fclose(f);
    qsort(lines, n_lines, LINE_SIZE, compare_lines);
    for (size_t i = 0; i < n_lines; i++)
        if (kept == 0 || strcmp(lines[kept - 1], lines[i]) != 0)
            memmove(lines[kept++], lines[i], LINE_SIZE);
    n_lines = kept;
}

/* How many lines of those that begin with id, from `at` on, have a word. */
static int
count_word(size_t at, const char *id, const char *word)
{
    size_t n = strlen(id);
    int    count = 0;
    for (; at < n_lines && strncmp(lines[at], id, n) == 0; at++)
        count += strchr(" /", lines[at][n]) && strstr(lines[at], word) != NULL;
    return count;
}

static void
check_transfer(hf *client, size_t at, const char *id, int *runs, int *refunds)
{
    int debit = count_word(at, id, " debit "), credit = count_word(at, id, " credit "),
        refund = count_word(at, id, " refund "), acknowledged = count_word(at, id, " acknow");
    const char *status = status_of(client, id);

    if (acknowledged) {
        *runs += 1;
        *refunds += refund;
        if (strcmp(status, "completed") != 0 && strcmp(status, "failed") != 0)
            test_fail(__FILE__, __LINE__, "%s was acknowledged and is %s: %s", id, status,
                      message_of(client, id));
        if (debit != 1)
            test_fail(__FILE__, __LINE__, "%s: %d debits", id, debit);
    }
    if (debit != credit + refund && strcmp(status, "waiting") != 0)
        test_fail(__FILE__, __LINE__, "%s is %s: %d debits, %d credits, %d refunds", id, status,
                  debit, credit, refund);
}

/* The part of a line before its first blank or slash; false: the same as in the line before. */
static int
next_id(size_t at, char id[ID_SIZE])
{
    size_t n = strcspn(lines[at], " /");
    if (n >= ID_SIZE || lines[at][n] == '\0')
        test_fail(__FILE__, __LINE__, "bad line: %s", lines[at]);
    memcpy(id, lines[at], n);
    id[n] = '\0';
    return at == 0 || strncmp(lines[at - 1], id, n) != 0 || !strchr(" /", lines[at - 1][n]);
}

/* Children's lines are those of runs with other ids: "RUN/..." too, but for the sort. */
static void
check_ledger(hf *client, int runs_min)
{
    int  runs = 0, refunds = 0, letters = 0;
    char id[ID_SIZE];

    read_ledger();
    for (size_t i = 0; i < n_lines; i++) {
        if (!next_id(i, id))
            continue;
        if (strcmp(id, "error") == 0)
            test_fail(__FILE__, __LINE__, "a client was told: %s", lines[i]);
        if (id[0] == 't')
            check_transfer(client, i, id, &runs, &refunds);
        if (id[0] == 'l' && count_word(i, id, " posted")) {
            letters++;
            if (count_word(i, id, " letter") != 1)
                test_fail(__FILE__, __LINE__, "letter %s is lost", id);
        }
    }
    printf("# %d transfers acknowledged, %d refunded, %d letters\n", runs, refunds, letters);
    CHECK(runs >= runs_min);
    CHECK(runs < 50 || refunds > 0);
}

int
ledger_acknowledged(void)
{
    return effects_with(" acknowledged ");
}

void
ledger_settle(int runs_min)
{
    pid_t last = worker_start(
        ledger_offer, HF_WORKER(.slots = 4, .drain = 1, .lease_ms = 2000, .max_crashes = 1000));
    CHECK_INT(worker_wait(last), 0);
    hf *client = client_open();
    check_ledger(client, runs_min);
    hf_close(client);
    CHECK_INT(db_int("select count(*) from holdfast.dead"), 0);
    check_at_rest();
}

void
seed_random(void)
{
    const char *given = getenv("TEST_SEED");
    unsigned    seed =
        given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL) ^ (unsigned)getpid();
    printf("# seed %u\n", seed);
    srand(seed);
}
