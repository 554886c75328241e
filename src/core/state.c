/* The moves of a run. */
#include "core/state.h"

static const struct run_move moves[] = {
#define X(from, to, why) {from, to, why},
    RUN_MOVES(X)
#undef X
};

const struct run_move *
run_moves(size_t *n)
{
    *n = sizeof(moves) / sizeof(moves[0]);
    return moves;
}

bool
run_may_move(int from, int to)
{
    if (from == to)
        return true;
    for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
        if (moves[i].from == from && moves[i].to == to)
            return true;
    return false;
}
