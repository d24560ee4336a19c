// What a plugin has of its host in its own process, once it has stopped; the test is the daemon, and the plugin.
#include "isolation/host/HostTables.h"

#include "services/desk.h"
#include "support/Wait.h"

#include <matrixos/call.hpp>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

using namespace matrixos;
using namespace matrixos::isolation;
using namespace matrixos::isolation::host;
using namespace matrixos::test;
using std::chrono::seconds;

namespace {

MOS_DESCRIBE_SERVICE(kDesk, EXAMPLE_DESK_1, EXAMPLE_DESK_1_MINOR, EXAMPLE_DESK_1_FUNCTIONS)

/// Answers every question and every call at once, and says what else it is told to.
class DaemonEnd {
public:
  explicit DaemonEnd(FileDescriptor socket)
      : channel_(std::move(socket), FrameChannel::WhenFull::Wait, 1U << 20U), thread_([this] { run(); }) {}
  ~DaemonEnd() {
    channel_.close();
    thread_.join();
  }
  void send(const std::string &frame) { channel_.send(frame); }
  /// The number that the last call gave its completion.
  std::uint64_t completion() const { return completion_; }

private:
  void run() {
    const auto onFrame = [this](FrameType type, std::string_view payload) {
      if (type == FrameType::Ask) {
        AnswerFrame answer;
        answer.id = decode<AskFrame>(payload).id;
        send(encode(answer));
      } else if (type == FrameType::Use) {
        const auto call = decode<CallFrame>(payload);
        completion_ = static_cast<std::uint64_t>(call.numbers.back());
        ResultFrame result;
        result.id = call.id;
        send(encode(result, FrameType::UseResult));
      }
    };
    for (pollfd entry{channel_.fd(), POLLIN, 0}; ::poll(&entry, 1, -1) >= 0;) {
      if (channel_.receive(onFrame) == FrameChannel::Received::End) return;
    }
  }

  FrameChannel channel_;
  std::atomic<std::uint64_t> completion_{0};
  std::thread thread_;
};

struct Sockets {
  Sockets() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    first.reset(fds[0]);
    second.reset(fds[1]);
  }
  FileDescriptor first, second;
};

/// A plugin's process without a plugin.
class PluginEnd {
public:
  PluginEnd() : link(std::move(sockets_.first)), needed(link), events(link), daemon(std::move(sockets_.second)) {
    common::ServiceCatalogue::instance().add(common::ServiceDescription::read(kDesk));
    thread_ = std::thread([this] {
      link.run([this](FrameType type, std::string_view payload) {
        type == FrameType::Event ? events.onFrame(payload) : needed.onFrame(type, payload);
      });
    });
  }
  ~PluginEnd() {
    link.channel()->close();
    thread_.join();
  }
  template <typename Table>
  const Table &table(const char *id) {
    return *static_cast<const Table *>(tables.host()->get_interface(tables.host()->self, id));
  }
  const example_desk_v1 &desk() {
    const auto &services = table<mos_host_services_v1>(MOS_HOST_SERVICES_1);
    const void *given = nullptr;
    check([&](mos_error *e) { return services.acquire(services.self, toAbi(EXAMPLE_DESK_1), {}, &given, e); });
    return *static_cast<const example_desk_v1 *>(given);
  }
  /// Once it returns, what the daemon has sent so far has been received.
  void receive() {
    link.ask(AskFrame{}, [](const AnswerFrame &) {});
  }

private:
  Sockets sockets_;
  const mos_descriptor_v1 descriptor_{};

public:
  DaemonLink link;
  NeededProxies needed;
  EventHandlers events;
  HostTables tables{link, needed, events, descriptor_};
  DaemonEnd daemon;

private:
  std::thread thread_;
};

/// What the plugin is called with, and what it waits for before it returns.
struct Called {
  std::atomic<int> times{0};
  std::atomic<mos_status> status{MOS_OK};
  std::promise<void> leave;
  std::shared_future<void> left = leave.get_future().share();

  static void happened(void *self, mos_str, mos_str) {
    auto &called = *static_cast<Called *>(self);
    ++called.times;
    called.left.wait();
  }
  mos_completion completion() {
    return {this, [](void *self, mos_status answered, mos_str, const mos_error *) {
              static_cast<Called *>(self)->status = answered;
              happened(self, {}, {});
            }};
  }
};

mos_status ask(const example_desk_v1 &desk, Called &called, mos_error *error) {
  std::uint64_t length = 0;
  return desk.ask(desk.self, nullptr, {}, called.completion(), &length, error);
}

std::string eventFor(std::uint64_t subscription) {
  EventFrame event;
  event.subscription = static_cast<std::int64_t>(subscription);
  event.topic = "t";
  event.json = "{}";
  return encode(event);
}

} // namespace

TEST_CASE("no event handler begins once the plugin has stopped, and one that runs is waited for") {
  Called called;
  PluginEnd plugin;
  const auto &table = plugin.table<mos_host_events_v1>(MOS_HOST_EVENTS_1);
  std::uint64_t number = 0;
  check([&](mos_error *e) { return table.subscribe(table.self, {}, &Called::happened, &called, &number, e); });
  plugin.daemon.send(eventFor(number) + eventFor(number));
  plugin.receive();
  REQUIRE(eventually([&] { return called.times == 1; }));
  CHECK_FALSE(plugin.events.close(std::chrono::nanoseconds{0}));
  called.leave.set_value();
  CHECK(plugin.tables.close());
  // The host's function refuses by now, so a plugin's destroy() does not end the subscription either.
  CHECK(table.unsubscribe(table.self, number, nullptr) == MOS_UNAVAILABLE);
  plugin.daemon.send(eventFor(number));
  plugin.receive();
  CHECK(plugin.tables.close());
  CHECK(called.times == 1);
}

TEST_CASE("completions that have not come come when the plugin stops, and none afterwards") {
  Called called;
  called.leave.set_value();
  PluginEnd plugin;
  const example_desk_v1 &desk = plugin.desk();
  check([&](mos_error *e) { return ask(desk, called, e); });
  CHECK(called.times == 0);
  CHECK(plugin.tables.close());
  CHECK(called.times == 1);
  CHECK(called.status == MOS_UNAVAILABLE);
  ResultFrame done;
  done.id = plugin.daemon.completion();
  plugin.daemon.send(encode(done, FrameType::UseDone));
  plugin.receive();
  mos_error error{};
  CHECK(ask(desk, called, &error) == MOS_UNAVAILABLE);
  CHECK(error.reason == std::string("STOPPED"));
  CHECK(plugin.tables.close());
  CHECK(called.times == 1);
}

TEST_CASE("a completion that runs while the plugin stops is waited for") {
  Called called;
  PluginEnd plugin;
  const example_desk_v1 &desk = plugin.desk();
  check([&](mos_error *e) { return ask(desk, called, e); });
  ResultFrame done;
  done.id = plugin.daemon.completion();
  plugin.daemon.send(encode(done, FrameType::UseDone));
  REQUIRE(eventually([&] { return called.times == 1; }));
  CHECK_FALSE(plugin.needed.close(std::chrono::nanoseconds{0}));
  called.leave.set_value();
  CHECK(plugin.tables.close());
  CHECK(called.times == 1);
  CHECK(called.status == MOS_OK);
}
