/* SPDX-License-Identifier: MIT */
/*
 * channel - three processes report to one, and it goes on when one of them is killed.
 *
 *     $ channel
 *     2500 reports, each whole and in its order; 2 said good-bye, 1 was killed
 *
 * Nobody watches the senders, and nobody guesses by a time limit: a death is one of the things receive answers.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define SENDERS 3
#define REPORTS 1000

struct report {
    unsigned sender;
    unsigned number;
};

static int fail(const char *what)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "channel: %s: %s\n", what, message);
    return 2;
}

/* Sender 0 copies; the others write in place. Sender 1 dies half way. Good-bye is a message without content. */
static int report(struct verso_channel *channel, unsigned sender)
{
    struct verso_channel_writer *writer;
    struct report *room, one;
    void *data;

    if (verso_channel_writer_open(channel, NULL, &writer) < 0)
        return fail("writer");
    for (one = (struct report){ sender, 0 }; one.number < REPORTS; one.number++) {
        if (sender == 1 && one.number == REPORTS / 2)
            raise(SIGKILL);
        if (sender == 0) {
            if (verso_channel_send(writer, &one, sizeof(one), -1) < 0)
                return fail("send");
            continue;
        }
        if (verso_channel_reserve(writer, sizeof(one), -1, &data) < 0)
            return fail("reserve");
        room = data;
        *room = one;
        if (verso_channel_commit(writer, sizeof(one)) < 0)
            return fail("commit");
    }
    if (verso_channel_send(writer, NULL, 0, -1) < 0)
        return fail("send");
    verso_channel_close(channel);
    return 0;
}

/* Counts what comes in its order, until nobody is left. */
static int collect(struct verso_channel_reader *reader)
{
    unsigned next[SENDERS] = { 0 }, reports = 0, byes = 0, deaths = 0;

    while (byes + deaths < SENDERS) {
        struct verso_channel_message message;
        int r = verso_channel_receive(reader, -1, &message);

        if (r == VERSO_E_PEER_DIED) {
            deaths++;
        } else if (r < 0) {
            return fail("receive");
        } else if (message.bytes == 0) {
            byes++;
        } else {
            struct report one;

            memcpy(&one, message.data, sizeof(one));
            if (one.sender >= SENDERS || one.number != next[one.sender]++)
                return 1;
            reports++;
        }
    }
    printf("%u reports, each whole and in its order; %u said good-bye, %u was killed\n", reports, byes, deaths);
    return reports == 2 * REPORTS + REPORTS / 2 && deaths == 1 ? 0 : 1;
}

int main(void)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel *channel;
    struct verso_channel_reader *reader;
    int status;

    options.kind = VERSO_CHANNEL_MPSC;
    options.flags = VERSO_CHANNEL_LASTING; /* one may be done before another has begun */
    if (verso_channel_create(NULL, &options, &channel) < 0)
        return fail("create");
    if (verso_channel_reader_open(channel, NULL, &reader) < 0)
        return fail("reader");
    for (unsigned i = 0; i < SENDERS; i++)
        if (fork() == 0)
            _exit(report(channel, i));
    status = collect(reader);
    while (wait(NULL) > 0)
        ;
    verso_channel_close(channel);
    return status;
}
