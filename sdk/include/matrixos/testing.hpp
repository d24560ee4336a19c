/// matrixos/testing.hpp: tests of a plugin, without a daemon.
///
///     matrixos::testing::Host host("build/plugins/guestbook.so");
///     host.set("greeting", "hello");
///     host.start();
///     CHECK(host.post("/guestbook", R"({"author":"ada"})").status == 201);
///     host.advance(std::chrono::hours{24});                    // timers run now, in their order
///     CHECK(host.rows("SELECT author FROM guestbook") == "ada\n");
///     host.stop();                                             // throws when something is left behind
///
/// Any test framework will do. The host is the daemon's own code, see matrixos/testing/host.h; CMake:
/// matrixos_add_plugin_test().
#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/status.hpp>
#include <matrixos/testing/host.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {
namespace testing {

/// Names and values, in their order.
using Fields = std::vector<std::pair<std::string, std::string>>;

namespace detail {

inline std::string valueOf(const Fields &fields, std::string_view name) {
  for (const auto &[key, value] : fields)
    if (key == name) return value;
  return {};
}

inline Fields toFields(const mos_pair *pairs, std::uint32_t count) {
  Fields fields;
  for (std::uint32_t i = 0; i < count; ++i)
    fields.emplace_back(fromAbi(pairs[i].key), fromAbi(pairs[i].value));
  return fields;
}

} // namespace detail

/// What a route answered.
struct Answer {
  unsigned status = 0;
  Fields fields; ///< names in lower case
  std::string body;

  /// The first field of that name, which is in lower case; empty when there is none.
  std::string field(std::string_view name) const { return detail::valueOf(fields, name); }
  bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

/// A line of the log.
struct LogLine {
  std::uint32_t level = 0; ///< MOS_LOG_…
  std::string logger;      ///< the plugin's id, or of the host's own parts
  std::string message;
  Fields fields;

  std::string field(std::string_view name) const { return detail::valueOf(fields, name); }
};

struct Event {
  std::string topic, json;
};

/// Who sends a request.
enum class Who : std::uint32_t {
  Operator = MOS_TEST_OPERATOR, ///< may do everything
  Anyone = MOS_TEST_ANYONE,     ///< who its fields say, to providers of identities
};

/// Waits up to ten seconds for `condition`; false when it stayed false. For what happens on other threads.
template <typename Condition>
bool eventually(Condition &&condition, std::chrono::milliseconds patience = std::chrono::seconds{10}) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

/// A platform for the plugins of a test, in a temporary folder. One at a time in a process. Failures are Error, with
/// the sentence that an operator would read. One thread, but for request(), events(), log() and what reads.
class Host {
public:
  Host() : api_(mos_testhost_entry_v1()) {
    check([&](mos_error *e) { return api_->make(&host_, e); });
  }
  /// With the plugin under test, whose keys set() means.
  explicit Host(std::string_view plugin) : Host() { add(plugin); }
  Host(const Host &) = delete;
  Host &operator=(const Host &) = delete;
  ~Host() { api_->destroy(host_); }

  /// Another plugin that runs beside it.
  Host &add(std::string_view file) {
    check([&](mos_error *e) { return api_->add_plugin(host_, toAbi(file), e); });
    return *this;
  }
  /// "greeting" of the plugin under test, or "platform.domain"; as an operator would write it.
  Host &set(std::string_view name, std::string_view value) {
    check([&](mos_error *e) { return api_->set(host_, toAbi(name), toAbi(value), e); });
    return *this;
  }
  /// A service of yours, from MOS_DESCRIBE_SERVICE; those of the SDK need none.
  Host &describe(const mos_service_v1 &service) {
    check([&](mos_error *e) { return api_->describe(host_, &service, e); });
    return *this;
  }
  /// A service that the plugin needs, played by the test. `table` has struct_size, minor and self at its beginning, and
  /// lives until withdraw() or stop().
  template <typename Table>
  Host &provide(std::string_view service, const Table *table, std::string_view instance = {}) {
    check([&](mos_error *e) { return api_->provide(host_, toAbi(service), toAbi(instance), table->minor, table, e); });
    return *this;
  }
  void withdraw(std::string_view service, std::string_view instance = {}) {
    check([&](mos_error *e) { return api_->withdraw(host_, toAbi(service), toAbi(instance), e); });
  }

  void start() {
    check([&](mos_error *e) { return api_->start(host_, e); });
  }
  /// Throws when the plugin leaves something behind, such as a thread.
  void stop() {
    check([&](mos_error *e) { return api_->stop(host_, e); });
  }
  /// As if the daemon came back: tables, values and messages are what they were.
  void restart() {
    stop();
    start();
  }
  /// What set() said since the start counts now, as far as its keys are live.
  void reconfigure() {
    check([&](mos_error *e) { return api_->reconfigure(host_, e); });
  }

  Answer request(std::string_view method, std::string_view target, std::string_view body = {},
                 const Fields &fields = {}, Who who = Who::Operator) const {
    std::vector<mos_pair> pairs;
    for (const auto &[name, value] : fields)
      pairs.push_back({toAbi(name), toAbi(value)});
    mos_test_request request{};
    request.struct_size = sizeof request;
    request.who = static_cast<std::uint32_t>(who);
    request.method = toAbi(method);
    request.target = toAbi(target);
    request.fields = pairs.data();
    request.fields_count = static_cast<std::uint32_t>(pairs.size());
    request.body = toAbi(body);
    Answer answer;
    check([&](mos_error *e) {
      const auto take = [](void *ctx, const mos_test_answer *from) {
        *static_cast<Answer *>(ctx) = {from->status, detail::toFields(from->fields, from->fields_count),
                                       std::string(fromAbi(from->body))};
      };
      return api_->request(host_, &request, &answer, take, e);
    });
    return answer;
  }
  Answer get(std::string_view target) const { return request("GET", target); }
  Answer post(std::string_view target, std::string_view body = {}) const { return request("POST", target, body); }

  /// A service that a plugin provides, for as long as the pointer lives; calls answer MOS_UNAVAILABLE once the plugin
  /// has stopped.
  template <typename Table>
  std::shared_ptr<const Table> lease(std::string_view service, std::string_view instance = {}) {
    const void *out = nullptr;
    check([&](mos_error *e) { return api_->acquire(host_, toAbi(service), toAbi(instance), &out, e); });
    return {static_cast<const Table *>(out),
            [this](const Table *table) noexcept { api_->release(host_, table, nullptr); }};
  }

  /// Lets time go on: timers that come due on the way run in their order, and so do pauses of the outbox. What they
  /// begin on other threads may take a moment: eventually().
  void advance(std::chrono::milliseconds by) {
    check([&](mos_error *e) { return api_->advance(host_, by.count(), e); });
  }

  void publish(std::string_view topic, std::string_view json) {
    check([&](mos_error *e) { return api_->publish(host_, toAbi(topic), toAbi(json), e); });
  }
  /// Those since the last start whose topic begins so. They arrive on a thread of their own: eventually().
  std::vector<Event> events(std::string_view prefix = {}) const {
    std::pair<std::vector<Event>, std::string_view> found{{}, prefix};
    check([&](mos_error *e) {
      const auto take = [](void *ctx, mos_str topic, mos_str json) {
        auto &[list, begin] = *static_cast<decltype(found) *>(ctx);
        if (fromAbi(topic).substr(0, begin.size()) == begin)
          list.push_back({std::string(fromAbi(topic)), std::string(fromAbi(json))});
      };
      return api_->events(host_, &found, take, e);
    });
    return std::move(found.first);
  }

  /// Everything that was logged, by the host itself warnings and errors alone.
  std::vector<LogLine> log() const {
    std::vector<LogLine> lines;
    check([&](mos_error *e) {
      const auto take = [](void *ctx, const mos_test_line *line) {
        static_cast<std::vector<LogLine> *>(ctx)->push_back({line->level, std::string(fromAbi(line->logger)),
                                                             std::string(fromAbi(line->message)),
                                                             detail::toFields(line->fields, line->fields_count)});
      };
      return api_->log(host_, &lines, take, e);
    });
    return lines;
  }
  /// The same as text, for the output of a test that fails.
  std::string logText() const {
    static constexpr const char *kLevels[] = {"?", "error", "warning", "info", "debug"};
    std::string text;
    for (const LogLine &line : log()) {
      text +=
          std::string(kLevels[line.level <= MOS_LOG_DEBUG ? line.level : 0]) + " " + line.logger + ": " + line.message;
      for (const auto &[name, value] : line.fields)
        text += " " + name + "=" + value;
      text += '\n';
    }
    return text;
  }
  /// Whether a line has that in its message.
  bool logged(std::string_view text) const {
    for (const LogLine &line : log())
      if (line.message.find(text) != std::string::npos) return true;
    return false;
  }

  /// What a query gives, whosever tables it asks: a line per row, columns between "|".
  std::string rows(std::string_view sql) const { return text(MOS_TEST_ROWS, sql); }
  /// The value of a series such as `matrixos_notes_total{kind="new"}`; 0 when there is none.
  double metric(std::string_view series) const {
    const std::string all = "\n" + text(MOS_TEST_METRICS, {});
    const std::string begin = "\n" + std::string(series) + " ";
    const std::size_t at = all.find(begin);
    return at == std::string::npos ? 0 : std::stod(all.substr(at + begin.size()));
  }
  /// "running", "degraded: why" or what else becomes of a plugin.
  std::string state(std::string_view id) const { return text(MOS_TEST_STATE, id); }
  /// What plugins did that they must not: "guestbook: trespass", a line each; empty for those that behave.
  std::string faults() const { return text(MOS_TEST_FAULTS, {}); }
  /// The data directory, which is removed at the end.
  std::string folder() const { return text(MOS_TEST_FOLDER, {}); }

private:
  std::string text(std::uint32_t what, std::string_view argument) const {
    Buffer out;
    check([&](mos_error *e) { return api_->text(host_, what, toAbi(argument), out.out(), e); });
    return out.str();
  }

  const mos_testhost_v1 *api_;
  mos_test_host *host_ = nullptr;
};

} // namespace testing
} // namespace v1
} // namespace matrixos
