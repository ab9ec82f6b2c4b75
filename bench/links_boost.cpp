/* SPDX-License-Identifier: MIT */
/*
 * links_boost - Boost.Interprocess message_queue: a queue in shared memory under a process-shared mutex.
 *
 * Made before the fork; its names are taken away at once, the mappings are inherited.
 */
extern "C" {
#include "links.h"
}

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <unistd.h>

namespace {

using boost::interprocess::message_queue;

const size_t ring_bytes = size_t{ 256 } << 10; /* as large as verso's ring */

struct queues {
    bool spins;
    std::unique_ptr<message_queue> direction[2];
};

std::unique_ptr<message_queue> queue_make(const link_plan *plan, int direction)
{
    std::string name = "verso-bench-boost-" + std::to_string(getpid()) + "-" + std::to_string(direction);
    size_t slots = ring_bytes / plan->message_bytes < 16 ? 16 : ring_bytes / plan->message_bytes;
    auto queue = std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(), slots,
                                                 plan->message_bytes, boost::interprocess::permissions(0600));

    message_queue::remove(name.c_str());
    return queue;
}

void *queues_make(const link_plan *plan, const char **out_why)
{
    auto link = std::make_unique<queues>();

    link->spins = plan->wait == LINK_SPINS;
    try {
        for (int direction = 0; direction < 2; direction++)
            link->direction[direction] = queue_make(plan, direction);
    } catch (const boost::interprocess::interprocess_exception &) {
        *out_why = "message_queue can't be created: is /dev/shm full?";
        return nullptr;
    }
    return link.release();
}

void queues_join(void *, int)
{
}

void queues_send(void *arg, int side, const void *data, size_t bytes)
{
    auto *link = static_cast<queues *>(arg);

    if (!link->spins)
        link->direction[side]->send(data, bytes, 0);
    else
        while (!link->direction[side]->try_send(data, bytes, 0))
            link_pause();
}

const void *queues_receive(void *arg, int side, void *out_data, size_t bytes)
{
    auto *link = static_cast<queues *>(arg);
    message_queue::size_type got;
    unsigned priority;

    if (!link->spins)
        link->direction[!side]->receive(out_data, bytes, got, priority);
    else
        while (!link->direction[!side]->try_receive(out_data, bytes, got, priority))
            link_pause();
    return out_data;
}

void queues_unmake(void *arg)
{
    delete static_cast<queues *>(arg);
}

} // namespace

extern "C" {
extern const link_kind link_boost;
const link_kind link_boost = {
    "Boost message_queue",
    LINK_SPINS | LINK_SLEEPS,
    LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    queues_make,
    queues_join,
    queues_send,
    queues_receive,
    queues_unmake,
};
}
