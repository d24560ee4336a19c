/// Names by DNS, and upstreams that are known by name: with a real name server that a test holds by the hand.
#include "NameServer.h"
#include "Stand.h"

#include <doctest/doctest.h>
#include <http/engine/AresResolver.h>
#include <support/Wait.h>

#include <algorithm>
#include <condition_variable>

using namespace stand;
using namespace std::chrono_literals;
using matrixos::http::AresOptions;
using matrixos::http::AresResolver;
using matrixos::http::ForwardFailure;
using matrixos::http::HostName;
using matrixos::http::Resolution;
using matrixos::http::Upstream;
using matrixos::test::eventually;
using Record = NameServer::Record;

namespace {

constexpr int kA = NameServer::kA;
constexpr int kAaaa = NameServer::kAaaa;

std::shared_ptr<AresResolver> resolverOf(const NameServer &server, int tries = 2) {
  return std::make_shared<AresResolver>(AresOptions{server.address(), 100ms, tries});
}

Resolution ask(AresResolver &resolver, const std::string &name) {
  std::mutex mutex;
  std::condition_variable came;
  std::unique_ptr<Resolution> out;
  resolver.resolve(name, [&](Resolution resolution) {
    const std::lock_guard lock(mutex);
    out = std::make_unique<Resolution>(std::move(resolution));
    came.notify_one();
  });
  std::unique_lock lock(mutex);
  REQUIRE(came.wait_for(lock, 30s, [&] { return out != nullptr; }));
  return *out;
}

std::vector<std::string> ipsOf(const Resolution &resolution) {
  std::vector<std::string> out;
  for (const auto &address : resolution.addresses)
    out.push_back(address.ip());
  std::sort(out.begin(), out.end());
  return out;
}

Upstream named(const std::string &name, std::uint16_t port, std::shared_ptr<matrixos::http::Resolver> resolver) {
  Upstream::Candidate out;
  out.key = freshKey();
  out.host = HostName::parse(name + ":" + std::to_string(port), std::move(resolver));
  return {{out}};
}

} // namespace

TEST_CASE("both families are asked for, and the shortest lifetime counts") {
  NameServer server;
  server.say(std::vector<Record>{{kA, "192.0.2.1", 300}, {kA, "192.0.2.2", 70}, {kAaaa, "2001:db8::1", 200}});
  const auto resolver = resolverOf(server);
  const Resolution got = ask(*resolver, "up.example");
  CHECK(ipsOf(got) == std::vector<std::string>{"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  CHECK(got.lifetime == 70s);
  CHECK_FALSE(got.definite);
  server.say(std::vector<Record>{{kAaaa, "2001:db8::2", 20}});
  CHECK(ipsOf(ask(*resolver, "up.example")) == std::vector<std::string>{"2001:db8::2"});
}

TEST_CASE("what a name server says, or does not say, in place of an address") {
  NameServer server;
  const auto resolver = resolverOf(server);
  server.say(std::vector<Record>{});
  Resolution got = ask(*resolver, "none.example");
  CHECK(got.definite);
  CHECK(got.failure == std::string("the upstream's name does not exist"));

  server.say([](const std::string &question) { return std::vector{NameServer::answer(question, {})}; });
  got = ask(*resolver, "empty.example");
  CHECK(got.definite);
  CHECK(got.failure == std::string("the upstream's name has no address"));

  server.say([](const std::string &question) { return std::vector{NameServer::answer(question, {}, 2)}; });
  got = ask(*resolver, "broken.example"); // SERVFAIL
  CHECK_FALSE(got.definite);
  CHECK(got.addresses.empty());
  CHECK(*got.failure != '\0');

  server.say([](const std::string &) { return std::vector<std::string>{}; });
  got = ask(*resolver, "silent.example");
  CHECK_FALSE(got.definite);
  CHECK(got.failure == std::string("the name server does not answer"));
}

TEST_CASE("an answer that lies about its sizes is no answer, and does no harm") {
  NameServer server;
  const auto resolver = resolverOf(server, 1);
  const std::vector<Record> records{{kA, "192.0.2.1", 60}, {kAaaa, "2001:db8::1", 60}};
  const auto check = [&](const char *what, const std::function<void(std::string &)> &change) {
    CAPTURE(what);
    server.say([records, change](const std::string &question) {
      std::string bytes = NameServer::answer(question, records);
      change(bytes);
      return std::vector{bytes};
    });
    const Resolution got = ask(*resolver, "lies.example");
    CHECK(got.addresses.empty());
    CHECK(*got.failure != '\0');
  };
  check("cut short", [](std::string &b) { b.resize(b.size() - 3); });
  check("more answers than there are", [](std::string &b) { b[6] = b[7] = '\xff'; });
  check("a record that is longer than the packet", [](std::string &b) {
    const std::size_t size = NameServer::typeOf(b) == kA ? 4 : 16;
    b[b.size() - size - 2] = '\xff';
  });
  check("a name that points at itself", [](std::string &b) {
    const std::size_t size = (NameServer::typeOf(b) == kA ? 4U : 16U) + 12U;
    b[b.size() - size + 1] = static_cast<char>(b.size() - size);
  });
  check("only a head", [](std::string &b) { b.resize(12); });
  check("not even a head", [](std::string &b) { b.resize(5); });
  check("nothing", [](std::string &b) { b.clear(); });
  check("another question", [](std::string &b) { b[0] = static_cast<char>(b[0] + 1); });
}

TEST_CASE("a late answer counts, and a forged one in front of it does not") {
  std::atomic<int> questions{0};
  NameServer server;
  const auto resolver = resolverOf(server, 3);
  server.say([&](const std::string &question) -> std::vector<std::string> {
    if (++questions <= 2) return {}; // one of each family
    std::string forged = NameServer::answer(question, {{kA, "203.0.113.66", 60}, {kAaaa, "2001:db8::66", 60}});
    forged[0] = static_cast<char>(forged[0] + 1);
    return {forged, NameServer::answer(question, {{kA, "192.0.2.1", 60}})};
  });
  CHECK(ipsOf(ask(*resolver, "late.example")) == std::vector<std::string>{"192.0.2.1"});
}

TEST_CASE("questions that are open when the resolver goes fail") {
  NameServer server;
  Resolution got;
  std::atomic<bool> answered{false};
  {
    AresResolver resolver({server.address(), 30s, 3});
    resolver.resolve("silent.example", [&](Resolution resolution) {
      got = std::move(resolution);
      answered = true;
    });
    REQUIRE(eventually([&] { return server.asked() > 0; }));
  }
  CHECK(answered);
  CHECK(got.addresses.empty());
}

TEST_CASE("a request goes to where the name leads now, and over to where it leads then") {
  NameServer names;
  Peer first([](int fd) { serve(fd, "first"); });
  // The same port at another address of the loopback network.
  Peer second([](int fd) { serve(fd, "second"); }, first.port(), "127.0.0.2");
  names.say(std::vector<Record>{{kA, "127.0.0.1", 1}});
  Stand stand(named("up.example", first.port(), resolverOf(names)));
  CHECK(stand.get().body == "first");
  CHECK(stand.get().body == "first");
  CHECK(first.accepted() == 1); // pooled
  names.say(std::vector<Record>{{kA, "127.0.0.2", 1}});
  // The pooled connection would go on for ever, as often as it is used: it does not count any more.
  CHECK(eventually([&] { return stand.get().body == "second"; }));
  CHECK(stand.get().body == "second");
  // From here on asking fails: the last good answer is kept.
  names.say([](const std::string &question) { return std::vector{NameServer::answer(question, {}, 2)}; });
  const int asked = names.asked();
  CHECK(eventually([&] { return stand.get().body == "second" && names.asked() > asked + 2; }));
  CHECK(stand.get().body == "second");
}

TEST_CASE("all addresses of a name are tried in their order, and then the next candidate") {
  NameServer names;
  Peer last([](int fd) { serve(fd, "last"); }, 0, "127.0.0.3");
  names.say(std::vector<Record>{{kA, "127.0.0.4", 60}, {kA, "127.0.0.5", 60}, {kA, "127.0.0.3", 60}});
  Stand stand(named("up.example", last.port(), resolverOf(names)));
  CHECK(stand.get().body == "last");

  names.say(std::vector<Record>{});
  Upstream upstream = named("none.example", 1, resolverOf(names));
  upstream.candidates.push_back({matrixos::Address::fromIp("127.0.0.3", last.port()), freshKey()});
  CHECK(Stand(upstream).get().body == "last");
}

TEST_CASE("a name that leads nowhere, or whose answer does not come in time, is a failure of its own") {
  NameServer names;
  names.say(std::vector<Record>{});
  {
    Stand stand(named("none.example", 80, resolverOf(names)));
    CHECK(stand.get().status == 502);
    const auto notes = stand.notes(1);
    CHECK(notes[0].failures == std::vector{ForwardFailure::NameUnknown});
    CHECK(notes[0].summary.reason == std::string("the upstream's name does not exist"));
  }
  names.say([](const std::string &) { return std::vector<std::string>{}; });
  StandOptions options;
  options.server.timeouts.connect = 100ms;
  auto slow = std::make_shared<AresResolver>(AresOptions{names.address(), 20s, 2});
  Stand stand(named("slow.example", 80, slow), options);
  CHECK(stand.get().status == 502);
  const auto notes = stand.notes(1);
  CHECK(notes[0].failures == std::vector{ForwardFailure::NameUnknown});
  CHECK(notes[0].summary.reason == std::string("the upstream's name was not resolved in time"));
}

TEST_CASE("a client that leaves while a name is looked up is not missed, nor is a server that stops") {
  NameServer names;
  auto resolver = std::make_shared<AresResolver>(AresOptions{names.address(), 300ms, 3});
  {
    Stand stand(named("slow.example", 80, resolver));
    {
      matrixos::test::RawConnection client(stand.port());
      client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      REQUIRE(eventually([&] { return names.asked() > 0; }));
    }
    matrixos::test::RawConnection other(stand.port());
    other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(eventually([&] { return stand.server().connections() > 0; }));
  }
  names.say(std::vector<Record>{{kA, "127.0.0.1", 1}});
  CHECK(ipsOf(ask(*resolver, "next.example")) == std::vector<std::string>{"127.0.0.1"});
}
