/*
 * The worst day: everybody is killed or stopped at random moments under load, for half a minute.
 * A ledger is kept by the tasks; in the end it must balance to the cent, with every order that was
 * acknowledged done, and none done that has no record.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

enum { CLIENTS = 2, LINE_SIZE = 120 };

static hf *client;

/* ---- the work: money from one account to another */

/* A line in the ledger; the key tells a repetition from another transfer. */
static int
book(hf_tk *tk, void *arg)
{
    (void)arg;
    const char *name = hf_tk_name(tk);
    if (strcmp(name, "credit") == 0 && hf_tk_input(tk)[0] == 'x')
        return hf_tk_fail_final(tk, "closed", "no such account");
    effect("%s %s %s", hf_tk_key(tk), name, hf_tk_input(tk) + 1);
    if (rand() % 4 == 0)
        usleep((unsigned)(rand() % 3000));
    return rand() % 10 == 0 ? hf_tk_fail(tk, "shaky", "tried") : hf_tk_return(tk, "booked");
}

static int
transfer(hf_wf *wf)
{
    const char *in = hf_input(wf);
    HF_TRY(hf_on_fail(wf, "refund", in, HF_OPT(.first_delay_ms = 5)));
    HF_TRY(hf_task(wf, "debit", in, NULL, HF_OPT(.first_delay_ms = 5, .max_attempts = -1)));
    HF_TRY(hf_sleep(wf, 20));
    HF_TRY(hf_signal(wf, "approved", NULL));
    HF_TRY(hf_task(wf, "credit", in, NULL, HF_OPT(.first_delay_ms = 5, .max_attempts = -1)));
    return hf_return(wf, "moved");
}

static void
offer(hf *h)
{
    srand((unsigned)getpid());
    OK(h, hf_workflow(h, "transfer", 1, transfer));
    static const char *const tasks[] = {"debit", "credit", "refund"};
    for (int i = 0; i < 3; i++)
        OK(h, hf_handler(h, tasks[i], book, NULL, HF_OPT(.max_attempts = -1)));
}

/* Orders transfers and notes each that was acknowledged, until it is killed. */
static _Noreturn void
order(int number)
{
    char id[40];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    srand((unsigned)getpid());
    hf *h = client_open();
    for (int i = 0;; i++) {
        snprintf(id, sizeof(id), "t%d-%d-%d", number, (int)getpid(), i);
        const char *in = rand() % 5 ? "o1" : "x1"; /* one in five goes to a closed account */
        int         rc = hf_start(h, "transfer", in, HF_OPT(.id = id), NULL);
        while (rc == 0 && (rc = hf_send(h, id, "approved", NULL, HF_OPT(.key = "a"))) == 0) {
            effect("%s acknowledged %s", id, in);
            break;
        }
        if (rc != 0 && rc != HF_UNAVAILABLE)
            effect("error %s %s", hf_code_name(rc), hf_errmsg(h));
        usleep((unsigned)(1000 + rand() % 8000));
    }
}

static pid_t
order_start(int number)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        order(number);
    return pid;
}

/* ---- the ledger */

static char (*lines)[LINE_SIZE];
static size_t n_lines;

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The lines of the ledger sorted, each once: a repeated attempt has the same key. */
static void
read_ledger(void)
{
    FILE  *f = fopen("effects", "r");
    size_t size = 400000, kept = 0;

    lines = calloc(size, LINE_SIZE);
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

/* How many lines a run has with a word. Its lines stand together: they begin with its id. */
static int
count_word(size_t at, const char *id, const char *word)
{
    size_t n = strlen(id);
    int    count = 0;
    for (; at < n_lines && strncmp(lines[at], id, n) == 0; at++)
        count += (lines[at][n] == ' ' || lines[at][n] == '/') && strstr(lines[at], word) != NULL;
    return count;
}

/* Every run of the ledger: the money is there or it is back, whoever died. */
static void
check_ledger(int runs_min)
{
    int runs = 0, refunds = 0;

    read_ledger();
    for (size_t i = 0; i < n_lines; i++) {
        char        id[40] = "";
        const char *end = strpbrk(lines[i], " /");
        if (end == NULL || end - lines[i] >= 40)
            test_fail(__FILE__, __LINE__, "bad line: %s", lines[i]);
        memcpy(id, lines[i], (size_t)(end - lines[i]));
        if (strcmp(id, "error") == 0)
            test_fail(__FILE__, __LINE__, "a client was told: %s", lines[i]);
        if (i > 0 && strncmp(lines[i - 1], id, strlen(id)) == 0 &&
            strchr(" /", lines[i - 1][strlen(id)]))
            continue; /* looked at already */
        int debit = count_word(i, id, " debit "), credit = count_word(i, id, " credit "),
            refund = count_word(i, id, " refund ");
        if (count_word(i, id, " acknowledged ")) {
            runs++;
            refunds += refund;
            const char *status = status_of(client, id);
            if (strcmp(status, "completed") != 0 && strcmp(status, "failed") != 0)
                test_fail(__FILE__, __LINE__, "%s was acknowledged and is %s: %s", id, status,
                          message_of(client, id));
            if (debit != 1)
                test_fail(__FILE__, __LINE__, "%s: %d debits", id, debit);
        }
        if (debit != credit + refund && strcmp(status_of(client, id), "waiting") != 0)
            test_fail(__FILE__, __LINE__, "%s: %d debits, %d credits, %d refunds", id, debit,
                      credit, refund);
    }
    printf("# %d runs acknowledged, %d refunded\n", runs, refunds);
    CHECK(runs >= runs_min);
    CHECK(refunds > 0);
}

static void
finish(int runs_min)
{
    int code =
        worker_wait(worker_start(offer, HF_WORKER(.slots = 4, .drain = 1, .max_crashes = 1000)));
    CHECK_INT(code, 0);
    check_ledger(runs_min);
}

static void
seed_random(void)
{
    unsigned seed = (unsigned)time(NULL) ^ (unsigned)getpid();
    printf("# seed %u\n", seed);
    srand(seed);
}

static pid_t
start_one(int i)
{
    return i == 0 ? worker_start(offer, HF_WORKER(.slots = 4, .max_crashes = 1000, .lease_ms = 500))
                  : order_start(i);
}

/* ---- the days */

TEST_WITHIN(kill_9_of_everybody_at_random_loses_nothing_and_doubles_nothing, 120)
{
    pid_t   pids[1 + CLIENTS];
    int64_t end = clock_ms() + (test_is_quick() ? 5000 : 30000);
    int     kills = 0;

    seed_random();
    client = client_open();
    for (int i = 0; i <= CLIENTS; i++)
        pids[i] = start_one(i);
    while (clock_ms() < end) {
        sleep_ms((20 + rand() % 150) * (test_slowness() > 1 ? 4 : 1));
        int i = rand() % 3 ? 0 : 1 + rand() % CLIENTS; /* mostly the worker */
        worker_kill(pids[i]);
        kills++;
        pids[i] = start_one(i);
    }
    for (int i = 0; i <= CLIENTS; i++)
        worker_kill(pids[i]);
    printf("# %d kills\n", kills);
    finish(50);
}

/* A laptop lid, a debugger, a machine that is moved: stopped is not dead. */
TEST_WITHIN(stopping_and_continuing_everybody_at_random_changes_nothing, 120)
{
    pid_t   pids[1 + CLIENTS];
    int64_t end = clock_ms() + (test_is_quick() ? 4000 : 10000);

    seed_random();
    client = client_open();
    for (int i = 0; i <= CLIENTS; i++)
        pids[i] = start_one(i);
    while (clock_ms() < end) {
        int i = rand() % (1 + CLIENTS);
        kill(pids[i], SIGSTOP);
        sleep_ms(rand() % 8 ? rand() % 100 : 900); /* now and then longer than a lease */
        kill(pids[i], SIGCONT);
        sleep_ms(rand() % 50);
    }
    for (int i = 1; i <= CLIENTS; i++)
        worker_kill(pids[i]);
    CHECK_INT(worker_stop(pids[0]), 0); /* it has lived through it */
    finish(50);
}
