// SPDX-License-Identifier: MIT
//
// channel_talk - a channel from C++: RAII around the handles, messages as string_view.
//
//     $ channel_talk send NAME TEXT...
//     $ channel_talk receive NAME COUNT
//
// It talks with `verso channel send|receive NAME`, with channel_talk.py, or with itself.
//
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <verso.h>

// What a call answered, as an exception.
static void check(int code)
{
    char message[512];

    if (code >= 0)
        return;
    verso_error_message(message, sizeof(message));
    throw std::runtime_error(message);
}

struct Closer {
    void operator()(verso_channel *channel) const { verso_channel_close(channel); }
    void operator()(verso_channel_writer *writer) const { verso_channel_writer_close(writer); }
    void operator()(verso_channel_reader *reader) const { verso_channel_reader_close(reader); }
};

class Channel {
public:
    explicit Channel(const std::string &name)
    {
        verso_channel *channel = nullptr;

        check(verso_channel_open(name.c_str(), nullptr, &channel));
        channel_.reset(channel);
    }
    verso_channel *get() const { return channel_.get(); }

private:
    std::unique_ptr<verso_channel, Closer> channel_;
};

class Writer {
public:
    explicit Writer(const Channel &channel)
    {
        verso_channel_writer *writer = nullptr;

        check(verso_channel_writer_open(channel.get(), nullptr, &writer));
        writer_.reset(writer);
    }
    void send(std::string_view text) { check(verso_channel_send(writer_.get(), text.data(), text.size(), -1)); }

private:
    std::unique_ptr<verso_channel_writer, Closer> writer_;
};

class Reader {
public:
    explicit Reader(const Channel &channel)
    {
        verso_channel_reader *reader = nullptr;

        check(verso_channel_reader_open(channel.get(), nullptr, &reader));
        reader_.reset(reader);
    }
    // Where it lies, valid until the next call. Who died had its say first, and another one may come.
    std::string_view receive()
    {
        verso_channel_message message = {};
        int code;

        do
            code = verso_channel_receive(reader_.get(), -1, &message);
        while (code == VERSO_E_PEER_DIED);
        check(code);
        return { static_cast<const char *>(message.data), message.bytes };
    }

private:
    std::unique_ptr<verso_channel_reader, Closer> reader_;
};

int main(int count, char **arguments)
{
    const std::string_view what = count > 3 ? arguments[1] : "";

    try {
        if (what == "send") {
            const Channel channel(arguments[2]);
            Writer writer(channel);

            for (int i = 3; i < count; i++)
                writer.send(arguments[i]);
        } else if (what == "receive") {
            const Channel channel(arguments[2]);
            Reader reader(channel);

            for (long left = std::strtol(arguments[3], nullptr, 10); left > 0; left--) {
                const std::string_view text = reader.receive();

                std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
            }
        } else {
            std::fprintf(stderr, "usage: channel_talk send NAME TEXT... | receive NAME COUNT\n");
            return 2;
        }
    } catch (const std::exception &trouble) {
        std::fprintf(stderr, "channel_talk: %s\n", trouble.what());
        return 2;
    }
    return 0;
}
