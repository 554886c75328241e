/* Costs and settings by the kind of store. */
#include "store/cost.h"

#include <string.h>

static bool
is_postgres(const struct store *s)
{
    return strcmp(s->ops->name, "postgresql") == 0;
}

int
store_cost(struct store *s, struct store_cost *out, struct err *err)
{
    if (is_postgres(s))
        return postgres_cost(s, out, err);
    *out = (struct store_cost){-1, -1, -1, -1, -1};
    return HF_OK;
}

int
store_server_times(struct store *s, struct arena *a, struct server_times *out, struct err *err)
{
    if (is_postgres(s))
        return postgres_server_times(s, a, out, err);
    *out = (struct server_times){.unknown = "the store has no server"};
    return HF_OK;
}

int
store_settings(struct store *s, struct arena *a, struct store_setting **out, size_t *n,
               struct err *err)
{
    struct store_info info;

    if (is_postgres(s))
        return postgres_settings(s, a, out, n, err);
    TRY(s->ops->info(s, a, &info, err));
    struct store_setting all[] = {{"version", info.version},
                                  {"path", info.path},
                                  {"journal_mode", info.journal},
                                  {"synchronous", info.synchronous}};
    *n = sizeof(all) / sizeof(all[0]);
    *out = arena_alloc(a, sizeof(all));
    if (*out == NULL)
        return err_nomem(err);
    memcpy(*out, all, sizeof(all));
    return HF_OK;
}

int
store_pin(struct store *s, struct err *err)
{
    if (is_postgres(s))
        return postgres_pin(s, err);
    return err_set(err, HF_INVALID, "an SQLite file has no horizon to pin");
}
