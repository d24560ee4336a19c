/// The gateway between raw clients and upstreams that do what a test tells them, with a ledger of its own.
#pragma once

#include "support/HttpClient.h"
#include "support/ScriptedServer.h"
#include "support/Wait.h"
#include "unit/ai-gateway/ledger/Books.h"

#include <ai-gateway/Gateway.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::gateway::test {

using matrixos::test::Headers;
using matrixos::test::Peer;
using matrixos::test::Response;

inline constexpr const char *kKey = "sk-ant-canary-0123456789";
inline constexpr const char *kSecret = "the-secret-of-the-platform";
inline constexpr const char *kToken = "mxi_alice";
/// Dollars per million tokens: a token costs 1 µ$ of input and 5 µ$ of output.
inline constexpr const char *kPrices =
    R"({"unit":"USD per million tokens","models":[{"model":"claude-haiku-4-5","from":"2025-01-01","input":1,)"
    R"("write_5m":1.25,"write_1h":2,"read":0.1,"output":5}],"geo":{},"batch":0.5,"web_search":0.01})";

/// An HTTP answer with its length.
inline std::string answerOf(const std::string &status, const std::string &body, const std::string &fields = {}) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline std::string messageOf(int input, int output, const std::string &text = "hello") {
  return R"({"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":")" +
         text + R"("}],"stop_reason":"end_turn","usage":{"input_tokens":)" + std::to_string(input) +
         R"(,"output_tokens":)" + std::to_string(output) + "}}";
}
inline const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
inline std::string chunk(const std::string &text) {
  std::string size;
  appendHex(size, text.size(), 8);
  return size + "\r\n" + text + "\r\n";
}
inline std::string startEvent(int input) {
  return "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
         "\"model\":\"claude-haiku-4-5\",\"usage\":{\"input_tokens\":" +
         std::to_string(input) + ",\"output_tokens\":1}}}\n\n";
}
inline std::string textEvent(const std::string &text) {
  return "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
         "\"text_delta\",\"text\":\"" +
         text + "\"}}\n\n";
}
inline std::string endEvents(int output) {
  return "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
         "\"output_tokens\":" +
         std::to_string(output) + "}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
}

/// An upstream that answers every request on its connections.
class Upstream {
public:
  using Answer = std::function<void(const Peer &peer, const std::string &request)>;

  explicit Upstream(Answer answer)
      : server_([this, answer = std::move(answer)](const Peer &peer) {
          for (;;) {
            const std::string request = peer.readRequest();
            if (request.empty()) return;
            {
              const std::lock_guard lock(mutex_);
              requests_.push_back(request);
            }
            answer(peer, request);
          }
        }) {
    server_.listen();
  }
  explicit Upstream(std::string answer)
      : Upstream([answer = std::move(answer)](const Peer &peer, const std::string &) { peer.say(answer); }) {}

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

private:
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  matrixos::test::ScriptedServer server_;
};

class Stage {
public:
  using Tweak = std::function<void(GatewayOptions &)>;

  explicit Stage(std::vector<std::string> upstreams, const Tweak &tweak = {}, Ledger::Settings limits = {})
      : books(std::move(limits)), instances(resolver) {
    books.now = wallClockMs();
    options.server.listen = {"127.0.0.1:0"};
    options.server.loops = 1;
    options.upstreams = std::move(upstreams);
    options.keys = std::make_shared<const KeyList>(kKey);
    options.adminSecret = Secret(kSecret);
    options.prices = PriceTable::parse(kPrices);
    if (tweak) tweak(options);
    gateway = std::make_unique<Gateway>(options,
                                        Surroundings{*books.ledger, instances, reports,
                                                     [this](auto token) { return ownerOf(token); },
                                                     [](const std::function<void()> &task) { task(); }},
                                        resolver, books.host->abi());
    gateway->start();
  }
  ~Stage() { gateway.reset(); }

  std::uint16_t port() const { return gateway->addresses().front().port(); }
  static std::string body(int maxTokens = 100, bool stream = false, const std::string &more = {}) {
    return R"({"model":"claude-haiku-4-5","max_tokens":)" + std::to_string(maxTokens) +
           (stream ? R"(,"stream":true)" : "") + more + R"(,"messages":[{"role":"user","content":"hi"}]})";
  }
  Response post(const std::string &text, Headers headers = {{"x-api-key", kToken}},
                const std::string &path = "/v1/messages") const {
    headers.emplace_back("Content-Type", "application/json");
    return matrixos::test::request(port(), "POST", path, headers, text);
  }
  /// A request on the wire, to be continued or left.
  matrixos::test::RawConnection sent(const std::string &text) const {
    matrixos::test::RawConnection connection(port());
    connection.send("POST /v1/messages HTTP/1.1\r\nHost: gateway\r\nx-api-key: " + std::string(kToken) +
                    "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
    return connection;
  }
  /// Nothing is held any more, and everything has its row.
  bool settled() const {
    return matrixos::test::eventually([&] { return books.ledger->total().held == Money(); }) && books.ledger->flush() &&
           books.ledger->check().empty();
  }
  std::string log() const {
    gateway->report();
    return books.host->log();
  }

  std::optional<Owner> ownerOf(std::string_view token) const {
    const auto found = owners.find(token);
    return found == owners.end() ? std::nullopt : std::optional(found->second);
  }

  /// Knows no name unless the test says what it is.
  struct Names final : http::Resolver {
    void resolve(const std::string &name, Done done) override {
      done(ask ? ask(name) : http::Resolution{{}, {}, "nobody knows", true});
    }
    std::function<http::Resolution(const std::string &name)> ask;
  };
  std::map<std::string, Owner, std::less<>> owners{
      {kToken, {"01ALICE", "alice", false, {}}},
      {"mxi_bob", {"01BOB", "bob", true, {"172.18.0.9"}}},
  };
  Books books;
  std::shared_ptr<Names> resolver = std::make_shared<Names>();
  Instances instances;
  Reports reports{*books.ledger, [this](std::string_view handle) { return instances.idOf(handle); }};
  GatewayOptions options;
  std::unique_ptr<Gateway> gateway;
};

} // namespace matrixos::gateway::test
